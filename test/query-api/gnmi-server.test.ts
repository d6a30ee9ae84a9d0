/** The listener: TLS, its rotation, and what plaintext says. Real sockets, real certificates. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { connect as http2Connect, type Settings } from 'node:http2';
import { join } from 'node:path';
import { connect as tlsConnect, type SecureVersion } from 'node:tls';
import { credentials, status } from '@grpc/grpc-js';
import { createLogger } from '../../core/logger.ts';
import { gnmi } from '../../schemas/gnmi.ts';
import {
  type CertificateAuthority,
  type CertificatePair,
  createAuthority,
  createCertificate,
} from '../../simulator/certificates.ts';
import { streamOf } from '../simulator/subscriber.ts';
import { pushedClock } from './api-fixture.ts';
import { type GnmiFixture, startGnmi, uint } from './gnmi-fixture.ts';
import { told } from './gnmi-told.ts';

let folder: string;
let authority: CertificateAuthority;
let fixture: GnmiFixture | undefined;
let lines: string[];
const clock = pushedClock();
const logger = () =>
  createLogger({ level: 'info', format: 'json', destination: { write: (line) => lines.push(line) } });
const file = (name: string): string => `file:${join(folder, name)}`;
const settings = (more: object = {}) => ({ gnmiTlsCert: file('cert.pem'), gnmiTlsKey: file('key.pem'), ...more });

const issue = (commonName: string, usage: 'server' | 'client'): Promise<CertificatePair> =>
  createCertificate({
    authority,
    commonName,
    usage,
    notBefore: new Date(clock.nowMs() - 60_000),
    notAfter: new Date(clock.nowMs() + 3_600_000),
  });
const install = async ({ cert, key }: CertificatePair): Promise<void> => {
  await writeFile(join(folder, 'cert.pem'), cert);
  await writeFile(join(folder, 'key.pem'), key);
};

beforeEach(async () => {
  lines = [];
  folder = await mkdtemp(join(tmpdir(), 'gnmi-tls-'));
  authority = await createAuthority('test', clock.nowMs());
  await writeFile(join(folder, 'ca.pem'), authority.cert);
  await install(await issue('first', 'server'));
});
afterEach(async () => {
  await fixture?.stop();
  fixture = undefined;
  await rm(folder, { recursive: true });
});

/** The common name that the server shows on a new connection, and the protocol agreed. */
async function handshake(
  port: number,
  maxVersion?: SecureVersion,
): Promise<{ name: unknown; protocol: string | null }> {
  const socket = tlsConnect({
    port,
    host: '127.0.0.1',
    ca: authority.cert,
    ALPNProtocols: ['h2'],
    ...(maxVersion === undefined ? {} : { maxVersion, minVersion: 'TLSv1' as const, ciphers: 'DEFAULT@SECLEVEL=0' }),
  });
  try {
    await once(socket, 'secureConnect');
    return { name: socket.getPeerCertificate().subject.CN, protocol: socket.getProtocol() };
  } finally {
    socket.destroy();
  }
}

const rootCa = () => Buffer.from(authority.cert);

test('a client that trusts the authority is served; TLS 1.1 is refused (T2), and so is plaintext (T1)', async () => {
  fixture = await startGnmi({ settings: settings() });
  fixture.addDevice('dut');
  const client = fixture.connect({ channel: credentials.createSsl(rootCa()) });
  await client.unary('Capabilities', Buffer.alloc(0));
  expect((await handshake(fixture.server.port)).protocol).toBe('TLSv1.3');
  await expect(handshake(fixture.server.port, 'TLSv1.1')).rejects.toThrow(/protocol|alert|version/i);
  await expect(fixture.connect().unary('Capabilities', Buffer.alloc(0))).rejects.toMatchObject({ code: 14 });
});

test('with a client CA only clients with a certificate of it are served (T3)', async () => {
  fixture = await startGnmi({ settings: settings({ gnmiTlsClientCa: file('ca.pem') }) });
  const own = await issue('client', 'client');
  const known = credentials.createSsl(rootCa(), Buffer.from(own.key), Buffer.from(own.cert));
  await fixture.connect({ channel: known }).unary('Capabilities', Buffer.alloc(0));
  const unknown = fixture.connect({ channel: credentials.createSsl(rootCa()) });
  await expect(unknown.unary('Capabilities', Buffer.alloc(0))).rejects.toMatchObject({ code: 14 });
});

test('who may only read may Get and Subscribe (T8), and a stream that stands is not asked again for its certificate (T7)', async () => {
  fixture = await startGnmi({ settings: settings({ gnmiTlsClientCa: file('ca.pem') }), clock, logger: logger() });
  fixture.addDevice('dut', [{ path: '/e', value: uint(1) }]);
  const own = await issue('client', 'client');
  const channel = () => credentials.createSsl(rootCa(), Buffer.from(own.key), Buffer.from(own.cert));
  const client = fixture.connect({ channel: channel() });
  const prefix = { target: 'dut', origin: '', elems: [] };
  await client.unary('Get', gnmi.GetRequest.encode({ prefix, encoding: 'PROTO' }));
  await expect(client.unary('Set', Buffer.alloc(0))).rejects.toMatchObject({ code: status.UNIMPLEMENTED });
  const standing = client.subscribe(streamOf(['/e'], { prefix }));
  await standing.synced();
  await writeFile(join(folder, 'ca.pem'), (await createAuthority('another', clock.nowMs())).cert);
  clock.push(1_001);
  const later = fixture.connect({ channel: channel() }).unary('Capabilities', Buffer.alloc(0));
  await expect(later).rejects.toMatchObject({ code: status.UNAVAILABLE });
  fixture.say('dut', { set: [{ path: '/e', value: uint(2) }] });
  await standing.until('the change', () => told(standing).includes('/e=2'));
  expect(standing.end).toBeNull();
});

test('new connections use the new certificate, standing streams go on (T4); a bad one is said and not taken', async () => {
  fixture = await startGnmi({ settings: settings(), clock, logger: logger() });
  fixture.addDevice('dut');
  const client = fixture.connect({ channel: credentials.createSsl(rootCa()) });
  const standing = client.subscribe({
    subscribe: {
      prefix: { target: 'dut', origin: '', elems: [] },
      subscription: [{ path: { origin: '', target: '', elems: [] } }],
    },
  });
  await standing.synced();
  expect((await handshake(fixture.server.port)).name).toBe('first');
  await install(await issue('second', 'server'));
  clock.push(1_001);
  expect((await handshake(fixture.server.port)).name).toBe('second');
  await writeFile(join(folder, 'cert.pem'), 'no certificate');
  clock.push(1_001);
  expect((await handshake(fixture.server.port)).name).toBe('second');
  expect(lines.filter((line) => line.includes('gnmi certificate not taken'))).toHaveLength(1);
  expect(standing.end).toBeNull();
});

test('a certificate that cannot be used at start ends the start, and half a setting is refused', async () => {
  await writeFile(join(folder, 'key.pem'), (await issue('other', 'server')).key);
  await expect(startGnmi({ settings: settings() })).rejects.toMatchObject({ code: 'CREDENTIALS_INVALID' });
  await expect(startGnmi({ settings: { gnmiTlsCert: file('cert.pem') } })).rejects.toMatchObject({
    code: 'SETTING_INVALID',
  });
});

test('plaintext that others can reach is said at start, on loopback it is not (T1)', async () => {
  fixture = await startGnmi({ logger: logger() });
  expect(lines).toEqual([]);
  await fixture.stop();
  fixture = await startGnmi({ settings: { gnmiListen: ':0' }, logger: logger() });
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain('without TLS');
});

test('a stop ends streams with UNAVAILABLE, so that clients go to another instance', async () => {
  fixture = await startGnmi();
  fixture.addDevice('dut');
  const subscriber = fixture.connect().subscribe({
    subscribe: { prefix: { target: 'dut', origin: '', elems: [] }, subscription: [{}] },
  });
  await subscriber.synced();
  await fixture.stop();
  expect(await subscriber.ended()).toMatchObject({ code: 14, details: 'this instance stops' });
});

test('a request beyond the limit has its code', async () => {
  fixture = await startGnmi({ settings: { gnmiMaxRequestBytes: 2_048 } });
  await expect(fixture.connect().unary('Get', Buffer.alloc(4_096))).rejects.toMatchObject({ code: 8 });
});

test('a connection is told how many RPCs it may have at a time', async () => {
  fixture = await startGnmi({ settings: { gnmiMaxStreamsPerConnection: 7 } });
  const session = http2Connect(`http://${fixture.server.address}`);
  const [told] = (await once(session, 'remoteSettings')) as [Settings];
  session.destroy();
  expect(told.maxConcurrentStreams).toBe(7);
});

test('of 1,000 streams on one connection those within the limit are served, each of the others has its code', async () => {
  fixture = await startGnmi();
  fixture.addDevice('d');
  const client = fixture.connect();
  const request = streamOf(['/a'], { prefix: { target: 'd', origin: '', elems: [] } });
  const streams = Array.from({ length: 1_000 }, () => client.subscribe(request));
  const outcomes = await Promise.all(
    streams.map(async (stream) => {
      await stream.until('sync or end', () => stream.syncs > 0 || stream.end !== null);
      return stream.end?.code ?? 'synced';
    }),
  );
  expect(outcomes.filter((outcome) => outcome === 'synced')).toHaveLength(256);
  expect(outcomes.filter((outcome) => outcome === status.RESOURCE_EXHAUSTED)).toHaveLength(744);
}, 20_000);
