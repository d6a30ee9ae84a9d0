import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../../core/clock.ts';
import { type ExternalRegistryOptions, openExternalRegistry } from '../../../core/kafka/external-registry.ts';
import { wantedSchemas } from '../../../core/kafka/schema-set.ts';
import { silentLogger } from '../../../core/logger.ts';

/**
 * What a registry may answer that the real one of the integration tests does not: other levels, refusals, credentials,
 * TLS, silence. The script below keeps subjects in memory and answers as Confluent's does.
 */
interface Stored {
  readonly subject: string;
  readonly id: number;
  readonly version: number;
  readonly schema: string;
  readonly references: readonly { name: string; subject: string; version: number }[];
}

class ScriptedRegistry {
  readonly stored: Stored[] = [];
  readonly requests: string[] = [];
  readonly levels = new Map<string, string>();
  readonly credentials = new Set<string | undefined>();
  globalLevel = 'BACKWARD';
  /** Answers instead of the registry when it returns something. */
  override: (method: string, path: string) => { status: number; body: unknown } | null = () => null;
  #server: Server | undefined;
  url = '';

  async start(tls?: { key: string; cert: string }): Promise<void> {
    const listener = (request: IncomingMessage, response: ServerResponse): void => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const path = decodeURIComponent(request.url?.split('?')[0] ?? '');
        this.requests.push(`${request.method ?? ''} ${path}`);
        this.credentials.add(request.headers.authorization);
        const text = Buffer.concat(chunks).toString();
        const body: unknown = text === '' ? null : JSON.parse(text);
        const { status, body: answer } =
          this.override(request.method ?? '', path) ?? this.#answer(request.method ?? '', path, body);
        response.writeHead(status, { 'content-type': 'application/vnd.schemaregistry.v1+json' });
        response.end(JSON.stringify(answer));
      });
    };
    const server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    this.url = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${(server.address() as AddressInfo).port}/root`;
  }

  async stop(): Promise<void> {
    this.#server?.closeAllConnections();
    await new Promise((resolve) => (this.#server === undefined ? resolve(null) : this.#server.close(resolve)));
  }

  #answer(method: string, path: string, body: unknown): { status: number; body: unknown } {
    const notFound = { status: 404, body: { error_code: 40401, message: 'not found' } };
    const rest = path.replace(/^\/root/, '');
    if (rest === '/config') return { status: 200, body: { compatibilityLevel: this.globalLevel } };
    if (rest.startsWith('/config/')) {
      const subject = rest.slice('/config/'.length);
      if (method === 'PUT') {
        this.levels.set(subject, (body as { compatibility: string }).compatibility);
        return { status: 200, body };
      }
      const level = this.levels.get(subject);
      return level === undefined ? notFound : { status: 200, body: { compatibilityLevel: level } };
    }
    const versioned = /^\/subjects\/(.+)\/versions(?:\/(\d+))?$/.exec(rest);
    if (versioned !== null) {
      const subject = versioned[1] ?? '';
      if (method === 'POST') return { status: 200, body: { id: this.#store(subject, body as Stored).id } };
      const found = this.stored.find((entry) => entry.subject === subject && entry.version === Number(versioned[2]));
      return found === undefined ? notFound : { status: 200, body: { ...found, schemaType: 'PROTOBUF' } };
    }
    const looked = /^\/subjects\/(.+)$/.exec(rest);
    if (looked !== null && method === 'POST') {
      const { schema } = body as Stored;
      const found = this.stored.find((entry) => entry.subject === looked[1] && entry.schema === schema);
      return found === undefined ? notFound : { status: 200, body: found };
    }
    const byId = /^\/schemas\/ids\/(\d+)$/.exec(rest);
    const text = this.stored.find((entry) => entry.id === Number(byId?.[1]));
    return text === undefined ? notFound : { status: 200, body: { schemaType: 'PROTOBUF', schema: text.schema } };
  }

  #store(subject: string, { schema, references }: Stored): Stored {
    const same = this.stored.find((entry) => entry.schema === schema); // one id per text, as Confluent has it
    const version = this.stored.filter((entry) => entry.subject === subject).length + 1;
    const entry = { subject, schema, references, version, id: same?.id ?? this.stored.length + 100 };
    this.stored.push(entry);
    return entry;
  }
}

const never = new AbortController().signal;
const registry = new ScriptedRegistry();
const optionsFor = (url: string): ExternalRegistryOptions => ({
  url,
  username: undefined,
  passwordReference: undefined,
  caFile: undefined,
  topicPrefix: 'x.',
  env: {},
  patienceMs: 400,
  clock: systemClock,
  logger: silentLogger,
});

beforeEach(async () => {
  registry.stored.length = 0;
  registry.requests.length = 0;
  registry.levels.clear();
  registry.credentials.clear();
  registry.globalLevel = 'BACKWARD';
  registry.override = () => null;
  await registry.start();
});
afterEach(() => registry.stop());

test('every record type gets an id, imports first, under the level in force', async () => {
  registry.globalLevel = 'FULL';
  registry.levels.set('x.state-holdfast.v1.Leaf', 'NONE');
  const ids = await openExternalRegistry(optionsFor(registry.url), never);

  const wanted = wantedSchemas('x.');
  expect(registry.stored.map(({ subject }) => subject)).toEqual(wanted.map(({ subject }) => subject));
  for (const { use } of wanted)
    if (use !== null) expect(ids.messageOf(ids.idOf(use.topic, use.message))).toBe(use.message);
  const leaf = registry.stored.find(({ subject }) => subject === 'x.state-holdfast.v1.Leaf');
  expect(leaf?.references).toEqual([{ name: 'gnmi/gnmi.proto', subject: 'gnmi/gnmi.proto', version: 1 }]);
  // The library writes a level where none was set: it must be the one that was in force anyway.
  expect(new Set(registry.levels.values())).toEqual(new Set(['FULL', 'NONE']));
  expect(registry.levels.get('x.state-holdfast.v1.Leaf')).toBe('NONE');
});

test('a second start only reads', async () => {
  const first = await openExternalRegistry(optionsFor(registry.url), never);
  registry.requests.length = 0;
  const second = await openExternalRegistry(optionsFor(`${registry.url}/`), never);
  expect(registry.requests.filter((line) => line.includes('/versions') || line.startsWith('PUT'))).toEqual([]);
  expect(second.idOf('x.devices', 'holdfast.v1.Device')).toBe(first.idOf('x.devices', 'holdfast.v1.Device'));
});

test('an id of another version of a record type is looked up, an unknown one is not asked for twice', async () => {
  const ids = await openExternalRegistry(optionsFor(registry.url), never);
  const schema =
    '// later\nsyntax = "proto3";\npackage holdfast.v1;\nmessage Leaf { string device = 1; int32 more = 90; }\n';
  registry.stored.push({ subject: 'other', id: 7_000, version: 1, schema, references: [] });
  expect(ids.messageOf(7_000)).toBeUndefined();
  expect(await ids.lookUp(7_000, never)).toBe('holdfast.v1.Leaf');
  expect(ids.messageOf(7_000)).toBe('holdfast.v1.Leaf');
  registry.requests.length = 0;
  expect(await ids.lookUp(8_000, never)).toBeUndefined();
  expect(await ids.lookUp(8_000, never)).toBeUndefined();
  expect(registry.requests).toEqual(['GET /root/schemas/ids/8000']);
});

test('user name and password go with every request', async () => {
  const options = { ...optionsFor(registry.url), username: 'hold', passwordReference: 'env:PW', env: { PW: 'fast' } };
  await openExternalRegistry(options, never);
  expect([...registry.credentials]).toEqual([`Basic ${Buffer.from('hold:fast').toString('base64')}`]);
});

test('a registry that comes up late is waited for', async () => {
  let failures = 3;
  registry.override = () => (failures-- > 0 ? { status: 503, body: { error_code: 50003, message: 'starting' } } : null);
  const ids = await openExternalRegistry({ ...optionsFor(registry.url), patienceMs: 20_000 }, never);
  expect(ids.framePrefix('x.devices', 'holdfast.v1.Device')).toHaveLength(6);
});

test('a registry that is not there is REGISTRY_UNREACHABLE after a bounded time, with the remedy', async () => {
  await registry.stop();
  const opening = openExternalRegistry(optionsFor(registry.url), never);
  await expect(opening).rejects.toMatchObject({ code: 'REGISTRY_UNREACHABLE', retryable: true });
  await expect(opening).rejects.toThrow('HOLDFAST_SCHEMA_REGISTRY_URL');
});

test('the library losing the connection half-way is tried again, not refused', async () => {
  let posts = 0;
  registry.override = (method, path) => {
    if (method !== 'POST' || !path.endsWith('/versions')) return null;
    posts += 1;
    return posts > 2 ? null : { status: 500, body: { error_code: 50001, message: 'store failed' } };
  };
  await openExternalRegistry({ ...optionsFor(registry.url), patienceMs: 20_000 }, never);
  expect(posts).toBeGreaterThan(2);
});

test.each([
  { status: 401, code: 'REGISTRY_UNREACHABLE', says: 'HOLDFAST_SCHEMA_REGISTRY_USERNAME' },
  { status: 403, code: 'REGISTRY_UNREACHABLE', says: 'HOLDFAST_SCHEMA_REGISTRY_USERNAME' },
  { status: 409, code: 'SCHEMA_COLLISION', says: 'incompatible' },
  { status: 404, code: 'REGISTRY_UNREACHABLE', says: 'HOLDFAST_SCHEMA_REGISTRY_URL' },
])('status $status to a registration is $code at once', async ({ status, code, says }) => {
  registry.override = (method, path) =>
    method === 'POST' && path.endsWith('/versions') ? { status, body: { error_code: status, message: 'no' } } : null;
  const opening = openExternalRegistry({ ...optionsFor(registry.url), patienceMs: 60_000 }, never);
  await expect(opening).rejects.toMatchObject({ code, retryable: false });
  await expect(opening).rejects.toThrow(says);
});

test.each([
  { name: 'a URL that is none', change: { url: 'registry:8081' }, code: 'SETTING_INVALID' },
  { name: 'a CA file that is not there', change: { caFile: '/nowhere/ca.pem' }, code: 'SETTING_INVALID' },
  {
    name: 'a password that is not set',
    change: { username: 'u', passwordReference: 'env:UNSET' },
    code: 'CREDENTIALS_INVALID',
  },
])('$name is refused at start', async ({ change, code }) => {
  const opening = openExternalRegistry({ ...optionsFor(registry.url), ...change }, never);
  await expect(opening).rejects.toMatchObject({ code });
});

test('TLS with a CA of its own', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-registry-tls-'));
  const keyFile = join(folder, 'key.pem');
  const certFile = join(folder, 'cert.pem');
  const subject = ['-subj', '/CN=registry', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', keyFile];
  execFileSync('openssl', ['req', '-x509', '-days', '2', ...key, '-out', certFile, ...subject], { stdio: 'ignore' });
  await openExternalRegistry(optionsFor(registry.url), never);
  const secure = new ScriptedRegistry();
  // All but one are there: that one the library registers. With none, a start is 117 handshakes of a busy machine.
  secure.stored.push(...registry.stored.slice(0, -1));
  await secure.start({ key: readFileSync(keyFile, 'utf8'), cert: readFileSync(certFile, 'utf8') });
  try {
    const ids = await openExternalRegistry({ ...optionsFor(secure.url), caFile: certFile }, never);
    expect(ids.idOf('x.devices', 'holdfast.v1.Device')).toBeGreaterThan(0);
    expect(secure.stored).toHaveLength(registry.stored.length);
    const untrusting = openExternalRegistry({ ...optionsFor(secure.url), patienceMs: 0 }, never);
    await expect(untrusting).rejects.toMatchObject({ code: 'REGISTRY_UNREACHABLE' });
  } finally {
    await secure.stop();
    rmSync(folder, { recursive: true });
  }
});
