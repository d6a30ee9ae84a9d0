import { readFileSync } from 'node:fs';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { COMPATIBILITY, SchemaRegistry, SchemaType } from '@kafkajs/confluent-schema-registry';
import { canonicalSchemaText } from '../../schemas/schema-id.ts';
import { raceAbort } from '../abort.ts';
import { Backoff } from '../backoff.ts';
import { type Clock } from '../clock.ts';
import { readSecret } from '../config.ts';
import { HoldfastError, messageOf } from '../errors.ts';
import { type Logger, RateLimited } from '../logger.ts';
import { systemRandom } from '../random.ts';
import { type RegistryAccess, RegistryClient, RegistryFailure, type SchemaBody } from './registry-client.ts';
import { type RegisteredSchema, SchemaIdMap, type SchemaIds } from './schema-ids.ts';
import { type WantedSchema, wantedSchemas } from './schema-set.ts';

/**
 * A Confluent-compatible schema registry by URL. The library registers; framing is ours, because the library's leaves
 * out the message index list that every other Protobuf client expects.
 *
 * X1. Asked at start and for ids of others, never on the record path: a registry that goes away stops nothing that runs.
 * X2. The registry's rules stay its owner's: a schema is registered under the compatibility level that is in force.
 */
/** Where the registry is and who we are there. */
export interface RegistryAddress {
  readonly url: string;
  readonly username: string | undefined;
  /** `file:PATH` or `env:NAME`. */
  readonly passwordReference: string | undefined;
  /** PEM file. */
  readonly caFile: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
}

export interface ExternalRegistryOptions extends RegistryAddress {
  readonly topicPrefix: string;
  /** How long a registry that does not answer is tried again at start. */
  readonly patienceMs?: number;
  readonly logger: Logger;
}

interface Session {
  readonly url: string;
  readonly client: RegistryClient;
  readonly library: SchemaRegistry;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly untilMonotonicMs: number;
  readonly patienceMs: number;
}

interface Found {
  readonly id: number;
  readonly version: number;
}

const registerTimeoutMs = 10_000;

/** Registers what is missing; tries for 30 s. @throws `REGISTRY_UNREACHABLE`, `SCHEMA_COLLISION`, `SETTING_INVALID` */
export async function openExternalRegistry(options: ExternalRegistryOptions, signal: AbortSignal): Promise<SchemaIds> {
  const { clock, logger, patienceMs = 30_000 } = options;
  const access = registryAccessOf(options);
  const client = new RegistryClient(access);
  const agentOptions = { keepAlive: false, timeout: registerTimeoutMs };
  const agent = access.url.startsWith('https:')
    ? new HttpsAgent({ ...agentOptions, ...(access.ca === undefined ? {} : { ca: access.ca }) })
    : new HttpAgent(agentOptions);
  const library = new SchemaRegistry({
    host: access.url,
    agent,
    retry: { retries: 0 }, // this file retries, with a bound
    ...(access.auth === undefined ? {} : { auth: access.auth }),
  });
  const untilMonotonicMs = clock.monotonicMs() + patienceMs;
  const session: Session = { url: access.url, client, library, clock, logger, untilMonotonicMs, patienceMs };
  try {
    const registered = await registerAll(session, wantedSchemas(options.topicPrefix), signal);
    logger.info({ registry: access.url, schemas: registered.length }, 'schemas registered');
    return new SchemaIdMap(registered, (id, until) => client.textOf(id, until), clock);
  } finally {
    agent.destroy();
  }
}

async function registerAll(
  session: Session,
  wanted: readonly WantedSchema[],
  signal: AbortSignal,
): Promise<RegisteredSchema[]> {
  const versions = new Map<string, number>();
  const registered: RegisteredSchema[] = [];
  for (const { subject, text, imports, use } of wanted) {
    const references = imports.map((imported) => ({ ...imported, version: versions.get(imported.subject) ?? 1 }));
    const body: SchemaBody = { schemaType: 'PROTOBUF', schema: canonicalSchemaText(text), references };
    const { id, version } = await insist(session, subject, signal, () => register(session, subject, body, signal));
    versions.set(subject, version);
    if (use !== null) registered.push({ ...use, id });
  }
  return registered;
}

/** Looks first: reading needs fewer rights, and most starts are not the first one. */
async function register(session: Session, subject: string, body: SchemaBody, signal: AbortSignal): Promise<Found> {
  const { client, library, clock } = session;
  const present = await client.find(subject, body, signal);
  if (present !== null) return present;
  const compatibility = levelOf(await client.compatibility(subject, signal)); // X2
  const schema = { type: SchemaType.PROTOBUF as const, schema: body.schema, references: [...body.references] };
  const timeout = new AbortController();
  const timer = clock.after(registerTimeoutMs, () =>
    timeout.abort(new RegistryFailure(0, `registering ${subject}: no answer within ${registerTimeoutMs} ms`)),
  );
  try {
    const until = AbortSignal.any([signal, timeout.signal]);
    const { id } = await raceAbort(library.register(schema, { subject, compatibility }), until);
    return (await client.find(subject, body, signal)) ?? { id, version: 1 };
  } catch (thrown) {
    throw failureOf(thrown, subject);
  } finally {
    timer.cancel();
  }
}

/** Repeats until it works, is refused, or the time for all of it is over. */
async function insist(
  session: Session,
  subject: string,
  signal: AbortSignal,
  attempt: () => Promise<Found>,
): Promise<Found> {
  const { clock, logger, url } = session;
  const backoff = new Backoff({ initialMs: 200, maxMs: 3_000, factor: 2, jitter: 0.5 });
  const limited = new RateLimited();
  for (;;) {
    signal.throwIfAborted();
    try {
      return await attempt();
    } catch (thrown) {
      if (!(thrown instanceof RegistryFailure)) throw thrown;
      if (!thrown.retryable) throw refused(session, subject, thrown);
      const waitMs = backoff.nextMs(systemRandom);
      if (clock.monotonicMs() + waitMs > session.untilMonotonicMs) throw unreachable(session, thrown);
      const suppressed = limited.pass('attempt', clock.monotonicMs());
      if (suppressed !== undefined) {
        logger.warn({ registry: url, subject, cause: thrown.message, suppressed }, 'schema registry does not answer');
      }
      await clock.sleep(waitMs, signal);
    }
  }
}

function unreachable(session: Session, cause: RegistryFailure): HoldfastError {
  const seconds = Math.round(session.patienceMs / 1_000);
  return new HoldfastError(
    'REGISTRY_UNREACHABLE',
    `the schema registry ${session.url} did not answer for ${seconds} s (${cause.message}): ` +
      'check HOLDFAST_SCHEMA_REGISTRY_URL and that it runs; it is needed at start only',
    { cause, retryable: true, facts: { registry: session.url } },
  );
}

function refused(session: Session, subject: string, cause: RegistryFailure): HoldfastError {
  const facts = { registry: session.url, subject, status: cause.status };
  if (cause.status === 409) {
    return new HoldfastError(
      'SCHEMA_COLLISION',
      `the schema registry holds an incompatible schema under ${subject} (${cause.message}): ` +
        'choose another topic prefix, or relax the compatibility level of that subject',
      { cause, facts },
    );
  }
  const remedy =
    cause.status === 401 || cause.status === 403
      ? 'check HOLDFAST_SCHEMA_REGISTRY_USERNAME and _PASSWORD, and that they may write the subject'
      : 'check that HOLDFAST_SCHEMA_REGISTRY_URL is the root of a Confluent-compatible API';
  const message = `the schema registry ${session.url} refused ${subject} (${cause.message}): ${remedy}`;
  return new HoldfastError('REGISTRY_UNREACHABLE', message, { cause, facts });
}

/** The library reports a failed connection as status 400, which no registry answers to these requests. */
function failureOf(thrown: unknown, subject: string): unknown {
  if (!(thrown instanceof Error) || !('status' in thrown) || typeof thrown.status !== 'number') return thrown;
  if (thrown instanceof RegistryFailure) return thrown;
  const status = thrown.status === 400 ? 0 : thrown.status;
  return new RegistryFailure(status, `registering ${subject}: ${messageOf(thrown)}`, thrown);
}

function levelOf(text: string): COMPATIBILITY {
  return isLevel(text) ? COMPATIBILITY[text] : COMPATIBILITY.NONE;
}

function isLevel(text: string): text is keyof typeof COMPATIBILITY {
  return Object.hasOwn(COMPATIBILITY, text);
}

/** How to reach the registry; reads the password and the CA. @throws `SETTING_INVALID`, `CREDENTIALS_INVALID` */
export function registryAccessOf(options: RegistryAddress): RegistryAccess {
  const { username, passwordReference, caFile, env, clock } = options;
  if (!/^https?:\/\/[^/]/.test(options.url)) {
    throw new HoldfastError('SETTING_INVALID', `HOLDFAST_SCHEMA_REGISTRY_URL ${options.url} is not an http(s) URL`);
  }
  const url = options.url.replace(/\/+$/, '');
  const password = passwordReference === undefined ? '' : readSecret(passwordReference, env);
  return {
    url,
    clock,
    ...(username === undefined ? {} : { auth: { username, password } }),
    ...(caFile === undefined ? {} : { ca: readCa(caFile) }),
  };
}

function readCa(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (thrown) {
    throw new HoldfastError('SETTING_INVALID', `schemaRegistryTlsCa: cannot read ${path}: ${messageOf(thrown)}`, {
      cause: thrown,
    });
  }
}
