/**
 * Devices and profiles as people write them, in YAML files and HTTP bodies: checked once here, exact records after that.
 *
 * Y1. All problems are told at once, each with the field it is about; a secret's content is in none of them.
 * Y2. Secrets are references (`file:PATH`, `env:NAME`); a literal is refused (T9, T10).
 * Y3. `plaintext: true` or `tls`, never both, never neither: nothing falls back to plaintext (T1).
 * Y4. Paths are stored in canonical form: one path, one text.
 * Y5. `formatDevice` is the inverse: what it prints parses to the same device. `status`, `changedBy` and `changedAt` are
 *     accepted and ignored, so an answer of GET is a body of PUT.
 * Y6. A document takes time in proportion to what it may say, not to its length: what is beyond a bound is not looked at.
 */
import { z } from 'zod';
import { type Device, deviceCodec } from './device.ts';
import { PathMalformed, compareCodePoints, formatPath, parsePath } from './path.ts';
import { type Profile, profileCodec } from './profile.ts';
import { shownText } from './shown-text.ts';
import { type Subscription, encodingNames, subscriptionModes } from './subscription.ts';

export type ParsedDevice = { readonly ok: true; readonly device: Device } | Problems;
export type ParsedProfile = { readonly ok: true; readonly profile: Profile } | Problems;
export type ParsedDevicesFile =
  { readonly ok: true; readonly devices: readonly Device[]; readonly profiles: readonly Profile[] } | Problems;
export interface Problems {
  readonly ok: false;
  readonly problems: string[];
}

/** Names of devices and profiles. `.` and `..` are left out: they vanish from every URL. */
export const namePattern = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,128}$/;
const name = z.string().regex(namePattern, 'must be 1-128 of A-Z a-z 0-9 . _ -, and not . or ..');
const address = z.string().refine(isAddress, 'must be host:port or [IPv6 address]:port');
const secret = z
  .string()
  .regex(/^(file:.|env:[A-Za-z_])/, 'must be a reference, file:PATH or env:NAME, not the secret');
/** Nobody waits longer on purpose; nanoseconds written as milliseconds are caught. */
const msMax = 2 ** 31 - 1;
const wholeMs = z
  .int('must be a whole number of milliseconds')
  .min(0, 'must not be negative')
  .max(msMax, `must be at most ${msMax} (24 days)`);
const encoding = z.enum(encodingNames, `must be one of ${encodingNames.join(', ')}`);
/** Y6. Of addresses, profiles or subscriptions of one device: nothing has as many, and each takes some 10 µs. */
const listMax = 10_000;
/** Y6. Of a file: who has as many begins with these. */
const problemsMax = 1_000;

const pathWithin = (elementsMax: number) =>
  z.string().transform((text, context) => {
    try {
      return formatPath(parsePath(text, elementsMax));
    } catch (thrown) {
      if (!(thrown instanceof PathMalformed)) throw thrown;
      context.addIssue(thrown.message);
      return z.NEVER;
    }
  });

const subscriptionsWithin = (pathElementsMax: number) =>
  z.array(
    z.strictObject({
      path: pathWithin(pathElementsMax),
      mode: z.enum(subscriptionModes, `must be one of ${subscriptionModes.join(', ')}`).default('target-defined'),
      intervalMs: wholeMs.default(0),
      heartbeatMs: wholeMs.default(0),
      suppressRedundant: z.boolean().default(false),
    }),
  );
const ofProfile = (pathElementsMax: number) => subscriptionsWithin(pathElementsMax).min(1, 'must have at least one');
const ofDevice = (pathElementsMax: number) => subscriptionsWithin(pathElementsMax).default([]);

const readOnly = {
  status: z.unknown().optional(),
  changedBy: z.unknown().optional(),
  changedAt: z.unknown().optional(),
};

/** What is written of a profile; `query-api/answers/devices.ts` describes it to clients. */
export const profileDocument = z.strictObject({
  name,
  encoding: encoding.optional(),
  subscriptions: ofProfile(Infinity),
  updatesOnly: z.boolean().default(false),
  explodeJson: z.boolean().default(false),
  ...readOnly,
});

/** What is written of a device. */
export const deviceDocument = z.strictObject({
  name,
  addresses: z.array(address).min(1, 'must have at least one'),
  plaintext: z.boolean().default(false),
  tls: z
    .strictObject({
      ca: secret.optional(),
      cert: secret.optional(),
      key: secret.optional(),
      serverName: z.string().min(1, 'must not be empty').optional(),
    })
    .optional(),
  credentials: z.strictObject({ username: z.string().min(1, 'must not be empty'), password: secret }).optional(),
  // Not z.record: that drops a label named `__proto__` (N18).
  labels: z
    .custom<object>(isLabels, 'must be names with texts')
    .meta({ type: 'object', additionalProperties: { type: 'string' } })
    .default({}),
  profiles: z.array(name).default([]),
  subscriptions: ofDevice(Infinity),
  encoding: encoding.optional(),
  disabled: z.boolean().default(false),
  receiveTimeoutMs: wholeMs.default(0),
  orderByReceiveTime: z.boolean().default(false),
  honourRootDelete: z.boolean().default(false),
  explodeJson: z.boolean().default(false),
  ...readOnly,
});

/** What documents are read by. */
export interface Documents {
  readonly device: typeof deviceDocument;
  readonly profile: typeof profileDocument;
}

const unbounded: Documents = { device: deviceDocument, profile: profileDocument };

/** For documents of strangers (Y6). */
export function documentsWithin({ pathElementsMax }: { readonly pathElementsMax: number }): Documents {
  return {
    device: deviceDocument.extend({ subscriptions: ofDevice(pathElementsMax) }),
    profile: profileDocument.extend({ subscriptions: ofProfile(pathElementsMax) }),
  };
}

/** `input` is what a YAML or JSON reader made. `changedBy` and `changedAtNs` come out empty: the writer says them. */
export function parseDevice(input: unknown, documents = unbounded): ParsedDevice {
  const tooLong = listProblems(input);
  if (tooLong.length > 0) return { ok: false, problems: tooLong };
  const parsed = documents.device.safeParse(input, { error: wrongType });
  const problems = [...problemsOf(parsed), ...deviceProblems(input)];
  if (!parsed.success || problems.length > 0) return { ok: false, problems };
  const { tls, credentials, labels, encoding: wanted = '', ...rest } = parsed.data;
  const { status: _s, changedBy: _b, changedAt: _a, ...said } = rest;
  const device: Device = {
    ...said,
    ...(tls && { tls: { ca: '', cert: '', key: '', serverName: '', ...defined(tls) } }),
    ...(credentials && { credentials }),
    labels: sortedMap(Object.entries(labels) as [string, string][]),
    encoding: wanted,
    changedBy: '',
    changedAtNs: 0n,
  };
  return { ok: true, device };
}

/** As `parseDevice`. */
export function parseProfile(input: unknown, documents = unbounded): ParsedProfile {
  const tooLong = listProblems(input);
  if (tooLong.length > 0) return { ok: false, problems: tooLong };
  const parsed = documents.profile.safeParse(input, { error: wrongType });
  const problems = [...problemsOf(parsed), ...subscriptionProblems(input)];
  if (!parsed.success || problems.length > 0) return { ok: false, problems };
  const { status: _s, changedBy: _b, changedAt: _a, encoding: wanted = '', ...said } = parsed.data;
  return { ok: true, profile: { ...said, encoding: wanted, changedBy: '', changedAtNs: 0n } };
}

/**
 * A file `{devices, profiles}`, either of which may be missing; no name may be there twice. Of very many problems the
 * first are told (Y6).
 */
export function parseDevicesFile(input: unknown, documents = unbounded): ParsedDevicesFile {
  const reading = readDevicesFile(input, documents);
  for (;;) {
    const { done, value } = reading.next();
    if (done === true) return value;
  }
}

/** As `parseDevicesFile`, with a pause behind each record: ten thousand of them take half a second. */
export function* readDevicesFile(input: unknown, documents = unbounded): Generator<void, ParsedDevicesFile> {
  if (!isObject(input)) return { ok: false, problems: ['must be an object with devices and profiles'] };
  const problems = Object.keys(input)
    .filter((field) => field !== 'devices' && field !== 'profiles')
    .map((field) => `unknown field ${shownText(field)}`);
  const devices: Device[] = [];
  const profiles: Profile[] = [];
  for (const item of itemsOf(input, 'devices', problems)) {
    const parsed = parseDevice(item.input, documents);
    if (parsed.ok) devices.push(parsed.device);
    else for (const problem of parsed.problems) problems.push(`${item.where}: ${problem}`);
    if (problems.length >= problemsMax) return { ok: false, problems: [...problems, notLookedAt] };
    yield;
  }
  for (const item of itemsOf(input, 'profiles', problems)) {
    const parsed = parseProfile(item.input, documents);
    if (parsed.ok) profiles.push(parsed.profile);
    else for (const problem of parsed.problems) problems.push(`${item.where}: ${problem}`);
    if (problems.length >= problemsMax) return { ok: false, problems: [...problems, notLookedAt] };
    yield;
  }
  return problems.length > 0 ? { ok: false, problems } : { ok: true, devices, profiles };
}

/** The document of a device, without what is unsaid; ready for a YAML or JSON writer. */
export function formatDevice(device: Device): Record<string, unknown> {
  const { tls, credentials, labels, profiles, subscriptions, changedBy, changedAtNs } = device;
  return {
    name: device.name,
    addresses: [...device.addresses],
    ...(device.plaintext && { plaintext: true }),
    ...(tls && { tls: said({ ...tls }) }),
    ...(credentials && { credentials: said({ ...credentials }) }),
    ...(labels.size > 0 && { labels: Object.fromEntries(labels) }),
    ...(profiles.length > 0 && { profiles: [...profiles] }),
    ...(subscriptions.length > 0 && { subscriptions: subscriptions.map(formatSubscription) }),
    ...said({
      encoding: device.encoding,
      disabled: device.disabled,
      receiveTimeoutMs: device.receiveTimeoutMs,
      orderByReceiveTime: device.orderByReceiveTime,
      honourRootDelete: device.honourRootDelete,
      explodeJson: device.explodeJson,
      ...formatChange(changedBy, changedAtNs),
    }),
  };
}

export function formatProfile(profile: Profile): Record<string, unknown> {
  return {
    name: profile.name,
    ...said({ encoding: profile.encoding }),
    subscriptions: profile.subscriptions.map(formatSubscription),
    ...said({
      updatesOnly: profile.updatesOnly,
      explodeJson: profile.explodeJson,
      ...formatChange(profile.changedBy, profile.changedAtNs),
    }),
  };
}

/** Whether two records say the same about a device, whoever said it and when. */
export function sameDevice(a: Device, b: Device): boolean {
  return comparable(a).equals(comparable(b));
}

export function sameProfile(a: Profile, b: Profile): boolean {
  const bytes = (profile: Profile): Buffer => profileCodec.encode({ ...profile, changedBy: '', changedAtNs: 0n });
  return bytes(a).equals(bytes(b));
}

function comparable(device: Device): Buffer {
  return deviceCodec.encode({ ...device, labels: sortedMap([...device.labels]), changedBy: '', changedAtNs: 0n });
}

function formatSubscription({ path: text, mode, ...rest }: Subscription): Record<string, unknown> {
  return { path: text, mode, ...said(rest) };
}

function formatChange(changedBy: string, changedAtNs: bigint): Record<string, unknown> {
  const atMs = Number(changedAtNs / 1_000_000n);
  // 8.64e15 ms is where Date ends; a record of ours never says more.
  const changedAt = atMs === 0 || Math.abs(atMs) > 8.64e15 ? '' : new Date(atMs).toISOString();
  return { changedBy, changedAt };
}

/** Without what is empty, zero or false: the defaults of `parse…`. */
function said(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== '' && value !== 0 && value !== false),
  );
}

type WithoutUndefined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

function defined<T extends object>(fields: T): WithoutUndefined<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as WithoutUndefined<T>;
}

function sortedMap(entries: readonly [string, string][]): Map<string, string> {
  return new Map([...entries].sort(([a], [b]) => compareCodePoints(a, b)));
}

function* itemsOf(input: Record<string, unknown>, field: 'devices' | 'profiles', problems: string[]) {
  const list = input[field] ?? [];
  if (!Array.isArray(list)) {
    problems.push(`${field}: must be a list`);
    return;
  }
  const seen = new Set<string>();
  for (const [index, item] of (list as unknown[]).entries()) {
    const called = isObject(item) && typeof item['name'] === 'string' ? item['name'] : undefined;
    const shown = called !== undefined && namePattern.test(called) ? ` (${called})` : '';
    if (called !== undefined && seen.has(called)) problems.push(`${field}[${index}]${shown}: this name is there twice`);
    if (called !== undefined) seen.add(called);
    yield { input: item, where: `${field}[${index}]${shown}` };
  }
}

const notLookedAt = 'so many problems that the rest was not looked at';

/** Lists that are not looked at (Y6). */
function listProblems(input: unknown): string[] {
  if (!isObject(input)) return [];
  const { labels } = input;
  const [fields, names] = [input, isObject(labels) ? labels : {}].map((one) => Object.keys(one).length);
  if ((fields ?? 0) > listMax) return [`has ${fields} fields, more than the ${listMax} allowed`];
  if ((names ?? 0) > listMax) return [`labels: has ${names} entries, more than the ${listMax} allowed`];
  return ['addresses', 'profiles', 'subscriptions'].flatMap((field) => {
    const list = input[field];
    if (!Array.isArray(list) || list.length <= listMax) return [];
    return [`${field}: has ${list.length} entries, more than the ${listMax} allowed`];
  });
}

/** What concerns several fields, read from the input: it is told even where other fields are wrong (Y1). */
function deviceProblems(input: unknown): string[] {
  if (!isObject(input)) return [];
  const problems = subscriptionProblems(input);
  const { plaintext, tls } = input;
  if (plaintext === true && tls !== undefined) problems.push('plaintext, tls: only one of them'); // Y3
  if (plaintext !== true && tls === undefined) problems.push('tls: required, or plaintext: true'); // Y3
  if (isObject(tls) && (tls['cert'] === undefined) !== (tls['key'] === undefined)) {
    problems.push('tls: cert and key go together');
  }
  if (isEmptyList(input['profiles']) && isEmptyList(input['subscriptions'])) {
    problems.push('profiles, subscriptions: at least one of them must have an entry');
  }
  return problems;
}

/** Fields that do not fit the mode: devices refuse them or silently do something else (M9, M13). */
function subscriptionProblems(input: unknown): string[] {
  const list = isObject(input) ? input['subscriptions'] : undefined;
  if (!Array.isArray(list)) return [];
  return (list as unknown[]).flatMap((item, index) => {
    if (!isObject(item) || item['mode'] === 'sample') return [];
    return ['intervalMs', 'suppressRedundant']
      .filter((field) => item[field] !== undefined && item[field] !== 0 && item[field] !== false)
      .map((field) => `subscriptions[${index}].${field}: only for mode sample`);
  });
}

const typeNames: Readonly<Record<string, string>> = {
  array: 'a list',
  string: 'a text',
  boolean: 'true or false',
  object: 'an object',
};

/** The words for a field that is missing or of another type; fields with words of their own keep them. */
function wrongType(issue: { code?: string | undefined; expected?: unknown; input?: unknown }): string | undefined {
  if (issue.code !== 'invalid_type') return undefined;
  if (issue.input === undefined) return 'required';
  return `must be ${typeNames[String(issue.expected)] ?? String(issue.expected)}`;
}

function problemsOf(parsed: { success: boolean; error?: z.ZodError }): string[] {
  return (parsed.error?.issues ?? []).flatMap((issue) => {
    const where = issue.path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('');
    const field = where.replace(/^\./, '');
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => `${field === '' ? '' : `${field}: `}unknown field ${shownText(key)}`);
    }
    return [field === '' ? issue.message : `${field}: ${issue.message}`];
  });
}

function isEmptyList(value: unknown): boolean {
  return value === undefined || (Array.isArray(value) && value.length === 0);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isLabels(value: unknown): boolean {
  return isObject(value) && Object.entries(value).every(([label, text]) => label !== '' && typeof text === 'string');
}

function isAddress(text: string): boolean {
  const match =
    /^(?:\[([0-9A-Fa-f:.]+(?:%[A-Za-z0-9._-]+)?)\]|([A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_.])?)):(\d{1,5})$/.exec(
      text,
    );
  if (match === null) return false;
  const port = Number(match[3]);
  return port >= 1 && port <= 65_535 && (match[1] === undefined || match[1].includes(':'));
}
