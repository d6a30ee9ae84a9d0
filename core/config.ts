import { readFileSync } from 'node:fs';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { HoldfastError, messageOf } from './errors.ts';

/**
 * Settings: one definition gives the flag (`--kafka-brokers`), the environment name (`HOLDFAST_KAFKA_BROKERS`), the YAML
 * key (`kafkaBrokers`), the check and the document. Flag over environment over file over default; unknown names are
 * refused, and all problems are reported at once.
 */
export interface Setting<T> {
  readonly schema: z.ZodType<T>;
  readonly default: T;
  /** One line: what it is, its unit and its range. */
  readonly doc: string;
  /** The value is a secret reference; `config show` prints the reference, never what it points to. */
  readonly secret: boolean;
}

export type Settings = Readonly<Record<string, Setting<unknown>>>;
export type ValuesOf<S extends Settings> = { readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never };
export type SettingSource = 'flag' | 'environment' | 'file' | 'default';

const asNumber = (input: unknown): unknown =>
  typeof input === 'string' && /^-?\d+(\.\d+)?$/.test(input) ? Number(input) : input;
const asBoolean = (input: unknown): unknown => (input === 'true' ? true : input === 'false' ? false : input);
const asList = (input: unknown): unknown =>
  typeof input === 'string'
    ? input
        .split(',')
        .map((item) => item.trim())
        .filter((item) => item !== '')
    : input;

const define = <T>(schema: z.ZodType<T>, value: NoInfer<T>, doc: string, secret = false): Setting<T> => ({
  schema,
  default: value,
  doc,
  secret,
});

/** The kinds of setting; each takes its default and its line of documentation. */
export const setting = {
  text: (value: string, doc: string) => define(z.string().min(1), value, doc),
  optionalText: (doc: string) => define(z.string().min(1).optional(), undefined, doc),
  integer: (value: number, range: { min: number; max: number }, doc: string) =>
    define(z.preprocess(asNumber, z.int().min(range.min).max(range.max)), value, doc),
  optionalInteger: (range: { min: number; max: number }, doc: string) =>
    define(z.preprocess(asNumber, z.int().min(range.min).max(range.max).optional()), undefined, doc),
  boolean: (value: boolean, doc: string) => define(z.preprocess(asBoolean, z.boolean()), value, doc),
  list: (value: readonly string[], doc: string) =>
    define<readonly string[]>(z.preprocess(asList, z.array(z.string().min(1))), value, doc),
  choice: <const C extends string>(choices: readonly [C, ...C[]], value: NoInfer<C>, doc: string) =>
    define<C>(z.enum(choices), value, doc),
  optionalChoice: <const C extends string>(choices: readonly [C, ...C[]], doc: string) =>
    define<C | undefined>(z.enum(choices).optional(), undefined, doc),
  /** `host:port`, `:port` (all addresses) or `[::1]:port`; port 0 takes a free one. */
  listen: (value: string, doc: string) =>
    define(z.string().regex(/^(\[[0-9a-fA-F:.]+\]|[^:[\]]*):\d{1,5}$/, 'expected host:port or :port'), value, doc),
  secret: (doc: string) =>
    define(
      z
        .string()
        .regex(/^(file:.+|env:[A-Za-z_][A-Za-z0-9_]*)$/, 'expected a reference, file:PATH or env:NAME, not the secret')
        .optional(),
      undefined,
      doc,
      true,
    ),
};

export interface SettingInputs {
  /** Values of long flags by setting name. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly file?: { readonly path: string; readonly values: Readonly<Record<string, unknown>> };
  /** Names that other parts of the product know: not an error here, and not used. */
  readonly knownElsewhere: ReadonlySet<string>;
}

export interface LoadedSettings<S extends Settings> {
  readonly values: ValuesOf<S>;
  readonly sources: Readonly<Record<string, SettingSource>>;
}

export function environmentName(name: string): string {
  return `HOLDFAST_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

export function flagName(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** Reads a YAML file of settings. Throws `SETTING_INVALID` when it is missing, malformed or not a mapping. */
export function readSettingsFile(path: string): { path: string; values: Readonly<Record<string, unknown>> } {
  let values: unknown;
  try {
    values = parseYaml(readFileSync(path, 'utf8'));
  } catch (thrown) {
    throw new HoldfastError('SETTING_INVALID', `cannot read settings file ${path}: ${messageOf(thrown)}`, {
      cause: thrown,
    });
  }
  if (values === null) return { path, values: {} };
  if (typeof values !== 'object' || Array.isArray(values)) {
    throw new HoldfastError('SETTING_INVALID', `settings file ${path} must hold a mapping of setting names to values`);
  }
  return { path, values: values as Record<string, unknown> };
}

/** Resolves every setting of `settings`. Throws one error that lists all problems (`facts.problems`). */
export function loadSettings<S extends Settings>(settings: S, inputs: SettingInputs): LoadedSettings<S> {
  const problems: string[] = [];
  const unknown = unknownNames(settings, inputs);
  for (const { spelled, hint } of unknown) problems.push(`${spelled} is not a setting${hint}`);
  const values: Record<string, unknown> = {};
  const sources: Record<string, SettingSource> = {};
  for (const [name, definition] of Object.entries(settings)) {
    const found = lookUp(name, inputs);
    sources[name] = found.source;
    if (found.source === 'default') {
      values[name] = definition.default;
      continue;
    }
    const parsed = definition.schema.safeParse(found.value);
    if (parsed.success) values[name] = parsed.data;
    else
      problems.push(
        `${found.spelled}: ${parsed.error.issues.map((issue) => issue.message).join('; ')} (${definition.doc})`,
      );
  }
  if (problems.length > 0) {
    const code = unknown.length > 0 && unknown.length === problems.length ? 'SETTING_UNKNOWN' : 'SETTING_INVALID';
    throw new HoldfastError(code, problems.join('\n'), { facts: { problems } });
  }
  return { values: values as ValuesOf<S>, sources };
}

function lookUp(name: string, inputs: SettingInputs): { source: SettingSource; value?: unknown; spelled: string } {
  if (inputs.flags[name] !== undefined) return { source: 'flag', value: inputs.flags[name], spelled: flagName(name) };
  const spelled = environmentName(name);
  const fromEnvironment = inputs.env[spelled];
  if (fromEnvironment !== undefined && fromEnvironment !== '')
    return { source: 'environment', value: fromEnvironment, spelled };
  if (inputs.file !== undefined && Object.hasOwn(inputs.file.values, name)) {
    return { source: 'file', value: inputs.file.values[name], spelled: `${name} in ${inputs.file.path}` };
  }
  return { source: 'default', spelled: name };
}

function unknownNames(settings: Settings, inputs: SettingInputs): { spelled: string; hint: string }[] {
  const names = new Set([...Object.keys(settings), ...inputs.knownElsewhere]);
  const environmentNames = new Set([...names].map(environmentName));
  const unknown: { spelled: string; hint: string }[] = [];
  for (const name of Object.keys(inputs.env)) {
    if (name.startsWith('HOLDFAST_') && !environmentNames.has(name)) {
      unknown.push({ spelled: name, hint: hintFor(name, environmentNames) });
    }
  }
  for (const name of Object.keys(inputs.file?.values ?? {})) {
    if (!names.has(name))
      unknown.push({ spelled: `${name} in ${inputs.file?.path ?? ''}`, hint: hintFor(name, names) });
  }
  return unknown;
}

function hintFor(name: string, known: ReadonlySet<string>): string {
  const near = [...known].find((candidate) => editDistanceWithin(name.toLowerCase(), candidate.toLowerCase(), 3));
  return near === undefined ? '' : `; did you mean ${near}?`;
}

/** True when at most `max` single-character edits turn `a` into `b`. */
function editDistanceWithin(a: string, b: string, max: number): boolean {
  if (Math.abs(a.length - b.length) > max) return false;
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const substitution = (previous[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1);
      current.push(Math.min((previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1, substitution));
    }
    previous = current;
  }
  return (previous[b.length] ?? max + 1) <= max;
}

/** Reads a secret reference: `file:` is read anew at each call (one final newline cut), `env:` from `env`. */
export function readSecret(reference: string, env: Readonly<Record<string, string | undefined>>): string {
  if (reference.startsWith('file:')) {
    const path = reference.slice('file:'.length);
    try {
      return readFileSync(path, 'utf8').replace(/\r?\n$/, '');
    } catch (thrown) {
      throw new HoldfastError('CREDENTIALS_INVALID', `cannot read secret file ${path}: ${messageOf(thrown)}`, {
        cause: thrown,
      });
    }
  }
  if (reference.startsWith('env:')) {
    const value = env[reference.slice('env:'.length)];
    if (value !== undefined) return value;
    throw new HoldfastError(
      'CREDENTIALS_INVALID',
      `environment variable ${reference.slice('env:'.length)} of a secret reference is not set`,
    );
  }
  throw new HoldfastError(
    'CREDENTIALS_INVALID',
    'a secret must be a reference, file:PATH or env:NAME; literal secrets are refused',
  );
}
