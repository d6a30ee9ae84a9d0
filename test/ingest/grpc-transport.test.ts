import { status } from '@grpc/grpc-js';
import { Redacted } from '../../core/redacted.ts';
import { grpcTransport } from '../../ingest/grpc-transport.ts';
import {
  type CapabilitiesAnswer,
  type DeviceConnection,
  type DialTarget,
  type RpcEnd,
} from '../../ingest/transport.ts';
import { type CertificateAuthority, createAuthority, createCertificate } from '../../simulator/certificates.ts';
import { gnmi } from '../../schemas/gnmi.ts';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { eventually } from '../support/eventually.ts';
import { ScriptedDevice, type ScriptedDeviceOptions, updateMessage } from '../support/scripted-device.ts';

/** grpc-js against real servers, TLS included: what is said when it does not work, and what is left when it is let go. */
const devices: ScriptedDevice[] = [];
const connections: DeviceConnection[] = [];
const servers: { server: Server; sockets: Set<Socket> }[] = [];
const request = gnmi.SubscribeRequest.encode({ subscribe: { mode: 'STREAM' } });
const nowMs = Date.now();
const dayMs = 86_400_000;
let authority: CertificateAuthority;

beforeAll(async () => {
  authority = await createAuthority('test CA', nowMs);
});

afterEach(() => {
  for (const connection of connections.splice(0)) connection.destroy();
  for (const device of devices.splice(0)) device.stop();
  for (const { server, sockets } of servers.splice(0)) {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
});

async function scripted(options: ScriptedDeviceOptions = {}): Promise<ScriptedDevice> {
  const device = await new ScriptedDevice(options).start();
  devices.push(device);
  return device;
}

function dial(address: string, target: Partial<DialTarget> = {}): DeviceConnection {
  const connection = grpcTransport.dial({
    device: 'leaf-1',
    address,
    tls: null,
    credentials: null,
    receiveBytesMax: 1_048_576,
    receiveWindowBytes: 65_535,
    ...target,
  });
  connections.push(connection);
  return connection;
}

async function certificate(options: { from?: number; to?: number; dnsNames?: string[]; addresses?: string[] } = {}) {
  return createCertificate({
    authority,
    commonName: 'device',
    usage: 'server',
    notBefore: new Date(options.from ?? nowMs - dayMs),
    notAfter: new Date(options.to ?? nowMs + dayMs),
    ...(options.dnsNames === undefined ? {} : { dnsNames: options.dnsNames }),
    ...(options.addresses === undefined ? {} : { addresses: options.addresses }),
  });
}

const noTls = { ca: null, cert: null, key: null, serverName: null };
const codeOf = (answer: CapabilitiesAnswer): string => (answer.kind === 'failed' ? answer.failure.code : answer.kind);
const detailOf = (answer: CapabilitiesAnswer): string => (answer.kind === 'failed' ? answer.failure.detail : '');

test('T5: user name and password travel with every RPC', async () => {
  const device = await scripted();
  const connection = dial(device.address, { credentials: { username: 'ops', password: new Redacted('sesame') } });
  expect((await connection.capabilities()).kind).toBe('answered');
  connection.subscribe(request, { onMessage: () => undefined, onEnded: () => undefined });
  await device.stream(0);
  expect(device.metadata.map((one) => [one.get('username'), one.get('password')])).toEqual([
    [['ops'], ['sesame']],
    [['ops'], ['sesame']],
  ]);
});

test('L9: a value that gRPC cannot send is refused by its field and never quoted', () => {
  const credentials = { username: 'ops', password: new Redacted('se\nsame') };
  expect(() => dial('127.0.0.1:1', { credentials })).toThrow(/credentials.password/);
  expect(() => dial('127.0.0.1:1', { credentials })).not.toThrow(/same/);
});

test('nobody listens: UNREACHABLE, with the address', async () => {
  const device = await scripted();
  device.stop();
  const answer = await dial(device.address).capabilities();
  expect([codeOf(answer), detailOf(answer)]).toEqual([
    'UNREACHABLE',
    `${device.address}: connect ECONNREFUSED ${device.address}; check the address, and that the gNMI service runs there`,
  ]);
});

test('a port that takes TCP and speaks no HTTP/2: UNREACHABLE, and what to look at', async () => {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.end('220 not gRPC\r\n');
  });
  servers.push({ server, sockets });
  const port = await new Promise<number>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
  });
  const plain = await dial(`127.0.0.1:${port}`).capabilities();
  expect([codeOf(plain), detailOf(plain)]).toEqual(['UNREACHABLE', expect.stringContaining('check the port')]);
  const tls = await dial(`127.0.0.1:${port}`, { tls: noTls }).capabilities();
  expect([codeOf(tls), detailOf(tls)]).toEqual(['TLS_PROTOCOL', expect.stringContaining('plaintext: true')]);
});

test('T3: TLS with the right CA, and a client certificate where the device wants one', async () => {
  const client = await createCertificate({
    authority,
    commonName: 'collector',
    usage: 'client',
    notBefore: new Date(nowMs - dayMs),
    notAfter: new Date(nowMs + dayMs),
  });
  const device = await scripted({ tls: { ...(await certificate()), clientCa: authority.cert } });
  const own = { ...noTls, ca: authority.cert };
  const both = { ...own, cert: client.cert, key: new Redacted(client.key) };
  expect(codeOf(await dial(device.address, { tls: both }).capabilities())).toBe('answered');
  expect(codeOf(await dial(device.address, { tls: own }).capabilities())).toBe('TLS_PROTOCOL');
});

test.each([
  'TLSv1.1' as const,
  'TLSv1.2' as const, // the control: a handshake, and then no HTTP/2
])('T2: whether a device that speaks %s at most is refused', async (version) => {
  let secured = 0;
  const ciphers = 'DEFAULT@SECLEVEL=0'; // OpenSSL leaves TLS 1.1 out otherwise
  const server = createTlsServer({ ...(await certificate()), minVersion: 'TLSv1', maxVersion: version, ciphers, ALPNProtocols: ['h2'] });
  const sockets = new Set<Socket>();
  server.on('secureConnection', () => (secured += 1)).on('connection', (socket: Socket) => sockets.add(socket));
  server.on('tlsClientError', () => undefined);
  servers.push({ server, sockets });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const answer = dial(`127.0.0.1:${port}`, { tls: { ...noTls, ca: authority.cert } }).capabilities();
  if (version === 'TLSv1.1') expect(codeOf(await answer)).toBe('TLS_PROTOCOL');
  else await eventually('a handshake', 3_000, () => secured > 0);
  expect(secured > 0).toBe(version === 'TLSv1.2');
}); // prettier-ignore

test.each([
  ['TLS_UNTRUSTED', {}, { ca: false }, 'tls.ca'],
  ['TLS_EXPIRED', { from: nowMs - 2 * dayMs, to: nowMs - dayMs }, {}, 'renew'],
  ['TLS_EXPIRED', { from: nowMs + dayMs, to: nowMs + 2 * dayMs }, {}, 'clock'],
  ['TLS_NAME', { addresses: ['192.0.2.1'] }, {}, 'tls.serverName'],
  ['TLS_NAME', {}, { serverName: 'other.example' }, 'tls.serverName'],
  ['answered', { dnsNames: ['leaf.example'], addresses: [] }, { serverName: 'leaf.example' }, ''],
])('TLS: %s (%j, %j)', async (code, made, dialled, remedy) => {
  const { ca = true, serverName = null } = dialled as { ca?: boolean; serverName?: string };
  const device = await scripted({ tls: await certificate(made) });
  const answer = await dial(device.address, {
    tls: { ...noTls, ca: ca ? authority.cert : null, serverName },
  }).capabilities();
  expect(codeOf(answer)).toBe(code);
  expect(detailOf(answer)).toContain(remedy);
});

test('T1: a device that speaks plaintext is not talked to in plaintext unless asked', async () => {
  const device = await scripted();
  expect(codeOf(await dial(device.address, { tls: noTls }).capabilities())).toBe('TLS_PROTOCOL');
  expect(device.metadata).toEqual([]);
});

test('certificates that cannot be used are CREDENTIALS_INVALID before anything is dialled', () => {
  expect(() => dial('127.0.0.1:1', { tls: { ...noTls, cert: 'no PEM', key: new Redacted('no PEM') } })).toThrow(
    /tls.cert or tls.key/,
  );
});

test('T11: a message over the limit ends the RPC as MESSAGE_TOO_LARGE', async () => {
  const device = await scripted();
  const ends: RpcEnd[] = [];
  const connection = dial(device.address, { receiveBytesMax: 100_000 });
  connection.subscribe(request, { onMessage: () => undefined, onEnded: (end) => ends.push(end) });
  (await device.stream(0)).send(updateMessage(1, 1n, 100_001));
  await eventually('the end', 3_000, () => ends.length === 1);
  expect(ends).toMatchObject([{ kind: 'failed', failure: { code: 'MESSAGE_TOO_LARGE' } }]);
});

test('paused: no message after the one in hand, HTTP/2 holds the device back, resume continues without loss', async () => {
  const device = await scripted();
  const sizes: number[] = [];
  const call = dial(device.address).subscribe(request, {
    onMessage: (bytes) => {
      sizes.push(bytes.length);
      if (sizes.length === 2) call.pause();
    },
    onEnded: () => undefined,
  });
  const stream = await device.stream(0);
  let held = false;
  for (let n = 0; n < 50; n += 1) held = !stream.send(updateMessage(n, 1n, 10_000)) || held;
  await eventually('two messages', 3_000, () => sizes.length === 2);
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect([sizes.length, held]).toEqual([2, true]);
  call.resume();
  await eventually('all messages', 3_000, () => sizes.length === 50);
});

test('X2: destroy lets the socket go at once and no listener is called again; it may be repeated', async () => {
  const device = await scripted();
  const heard: string[] = [];
  const connection = dial(device.address);
  connection.subscribe(request, { onMessage: () => heard.push('message'), onEnded: () => heard.push('end') });
  const stream = await device.stream(0);
  stream.update(1);
  await eventually('a message', 3_000, () => heard.length === 1);
  stream.update(2);
  connection.destroy();
  connection.destroy();
  await connection.close();
  await stream.closed();
  expect(heard).toEqual(['message']);
});

test('X3: after the connection is lost nothing is dialled behind our back', async () => {
  const device = await scripted();
  const ends: RpcEnd[] = [];
  const connection = dial(device.address);
  connection.subscribe(request, { onMessage: () => undefined, onEnded: (end) => ends.push(end) });
  await device.stream(0);
  device.stop();
  await eventually('the end', 3_000, () => ends.length === 1);
  const again = new ScriptedDevice();
  again.port = device.port;
  devices.push(await again.start());
  expect(codeOf(await connection.capabilities())).toBe('UNREACHABLE');
  expect(again.metadata).toEqual([]);
  expect(ends).toMatchObject([{ kind: 'failed', failure: { code: 'UNREACHABLE' } }]);
});

test('X3: after a failed dial that was closed nothing is dialled either, though grpc-js means to a second later', async () => {
  let dials = 0;
  const server = createServer((socket) => {
    dials += 1;
    socket.destroy();
  });
  servers.push({ server, sockets: new Set() });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const connection = dial(`127.0.0.1:${(server.address() as { port: number }).port}`);
  expect(await connection.capabilities()).toMatchObject({ kind: 'failed' });
  await connection.close();
  await new Promise((resolve) => setTimeout(resolve, 1_600)); // its first back-off: 1 s, give or take a fifth
  expect(dials).toBe(1);
});

test('a connection without RPCs that the device closes is said to be lost, once; one that we close is not (X2)', async () => {
  const [leaving, staying] = [await scripted(), await scripted({ tls: await certificate() })];
  const lost: string[] = [];
  const [one, two] = [dial(leaving.address), dial(staying.address, { tls: { ...noTls, ca: authority.cert } })];
  one.onLost(() => lost.push('leaving'));
  two.onLost(() => lost.push('staying'));
  expect([codeOf(await one.capabilities()), codeOf(await two.capabilities())]).toEqual(['answered', 'answered']);
  leaving.stop();
  await eventually('lost', 3_000, () => lost.length === 1);
  await two.close();
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(lost).toEqual(['leaving']);
});

test('E2: UNIMPLEMENTED Capabilities is no failure', async () => {
  const device = await scripted({ capabilitiesStatus: { code: status.UNIMPLEMENTED, details: 'no' } });
  expect(await dial(device.address).capabilities()).toEqual({ kind: 'unimplemented' });
});
