import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { credentials, status } from '@grpc/grpc-js';
import { Redacted } from '../../core/redacted.ts';
import { decodeDeviceMessage, MessageMalformed } from '../../schemas/notification.ts';
import { createFleetCertificates } from '../../simulator/certificates.ts';
import { type SimulatedDevice } from '../../simulator/device.ts';
import { type Fleet } from '../../simulator/fleet.ts';
import { GnmiClient, streamOf } from './subscriber.ts';
import { testFleet, withFleet } from './test-fleet.ts';

/** Each fault as a collector sees it, and that the device is well again afterwards. */
let fleet: Fleet;
let device: SimulatedDevice;
let client: GnmiClient;

beforeEach(async () => {
  fleet = testFleet({ names: ['dut-1', 'dut-2'] });
  await fleet.start();
  device = fleet.device('dut-1');
  client = new GnmiClient(device.address);
});
afterEach(async () => {
  client.close();
  await fleet.stop();
});

const isWell = async (address = device.address): Promise<void> => {
  const later = new GnmiClient(address);
  try {
    const subscriber = later.subscribe(streamOf(['/']));
    await subscriber.synced();
    device.tick();
    await subscriber.until('a tick', () => subscriber.sequences().at(-1) === BigInt(device.sequence));
  } finally {
    later.close();
  }
};

const connectRaw = (): Promise<{ socket: Socket; error: string | undefined }> =>
  new Promise((resolve) => {
    const socket = connect(device.port, '127.0.0.1', () => resolve({ socket, error: undefined }));
    socket.on('error', (error: NodeJS.ErrnoException) => resolve({ socket, error: error.code }));
  });

test('reset ends every connection of this device and of no other', async () => {
  const other = new GnmiClient(fleet.device('dut-2').address);
  const [mine, theirs] = [client.subscribe(streamOf(['/'])), other.subscribe(streamOf(['/']))];
  await mine.synced();
  await theirs.synced();
  await device.apply({ kind: 'reset' });
  expect(await mine.ended()).toMatchObject({ code: status.UNAVAILABLE });
  fleet.device('dut-2').tick();
  await theirs.until('its tick', () => theirs.sequences().at(-1) === 1n);
  expect(device.streams).toBe(0);
  other.close();
  await isWell();
});

test('refuse closes the port, and the device comes back at the same one', async () => {
  const { port } = device;
  const subscriber = client.subscribe(streamOf(['/']));
  await subscriber.synced();
  await device.apply({ kind: 'refuse' });
  await subscriber.ended();
  expect((await connectRaw()).error).toBe('ECONNREFUSED');
  await device.apply({ kind: 'clear' });
  expect(device.port).toBe(port);
  await isWell();
});

test('a fault with a time of its own ends by itself', async () => {
  await device.apply({ kind: 'refuse', forMs: 50 });
  expect(device.activeFaults).toEqual(['refuse']);
  await new Promise((resolve) => setTimeout(resolve, 120));
  expect(device.activeFaults).toEqual([]);
  await isWell();
});

test('flap resets again and again', async () => {
  await device.apply({ kind: 'flap', everyMs: 40, times: 3 });
  for (let round = 0; round < 3; round += 1) {
    const { socket } = await connectRaw();
    await new Promise((resolve) => socket.once('close', resolve));
  }
  await isWell();
});

test('garbage is no HTTP/2, silent says nothing', async () => {
  await device.apply({ kind: 'garbage' });
  expect((await client.subscribe(streamOf(['/'])).ended()).code).not.toBe(status.OK);
  await device.apply({ kind: 'clear' });
  await device.apply({ kind: 'silent' });
  const { socket, error } = await connectRaw();
  expect(error).toBeUndefined();
  socket.destroy();
  await device.apply({ kind: 'clear' });
  await isWell();
});

test('status ends standing and new RPCs with the code asked for', async () => {
  const subscriber = client.subscribe(streamOf(['/']));
  await subscriber.synced();
  await device.apply({ kind: 'status', code: status.UNAVAILABLE, message: 'rebooting' });
  expect(await subscriber.ended()).toEqual({ code: status.UNAVAILABLE, details: 'rebooting' });
  await expect(client.unary('Capabilities', Buffer.alloc(0))).rejects.toMatchObject({ code: status.UNAVAILABLE });
  await device.apply({ kind: 'clear' });
  await isWell();
});

test('a stall sends nothing and answers nothing, keeps the socket, and leaves no hole', async () => {
  const subscriber = client.subscribe(streamOf(['/']));
  await subscriber.synced();
  const from = subscriber.responses.length;
  device.tick();
  await device.apply({ kind: 'stall' });
  device.tick();
  const later = client.subscribe(streamOf(['/']));
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect([subscriber.end, later.end, later.responses.length]).toEqual([null, null, 0]);
  await device.apply({ kind: 'clear' });
  await later.synced();
  device.tick();
  await subscriber.until('the next', () => subscriber.sequences(from).length === 2);
  expect(subscriber.sequences(from)).toEqual([1n, 2n]);
});

test('freeze stops changes, not samples', async () => {
  await device.apply({ kind: 'freeze' });
  const sampled = client.subscribe(
    streamOf(['/simulator/state/name'], {}, { mode: 'SAMPLE', sampleInterval: 30_000_000n }),
  );
  await sampled.until('samples', () => sampled.responses.length >= 4);
  device.tick();
  expect(device.sequence).toBe(0);
});

test('malformed sends bytes that are no message; error-response is a message and the stream goes on', async () => {
  const raw: Buffer[] = [];
  const subscriber = client.subscribe(streamOf(['/']));
  await subscriber.synced();
  await device.apply({ kind: 'error-response', code: 8, message: 'busy' });
  await subscriber.until('the error', () => subscriber.responses.at(-1)?.error?.message === 'busy');
  subscriber.call.removeAllListeners('data');
  subscriber.call.on('data', (bytes: Buffer) => raw.push(bytes));
  await device.apply({ kind: 'malformed' });
  await subscriber.until('the bytes', () => raw.length === 1);
  expect(() => decodeDeviceMessage(raw[0]!)).toThrow(MessageMalformed);
});

test('huge is a valid message that changes nothing, and too much for a default client', async () => {
  const small = new GnmiClient(device.address, { maxBytes: 4 * 1024 * 1024 });
  const [large, refused] = [client.subscribe(streamOf(['/'])), small.subscribe(streamOf(['/']))];
  await large.synced();
  await refused.synced();
  await device.apply({ kind: 'huge', bytes: 20_000_000 });
  await large.until('it', () => (large.raw.at(-1)?.length ?? 0) > 20_000_000);
  expect(decodeDeviceMessage(large.raw.at(-1)!)).toMatchObject({
    kind: 'update',
    notification: { updates: [], deletes: [] },
  });
  expect(await refused.ended()).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
  small.close();
  await isWell();
});

test('unsynced never syncs, a limit refuses one stream more, encodings can be taken away', async () => {
  await device.apply({ kind: 'unsynced' });
  const subscriber = client.subscribe(streamOf(['/']));
  await subscriber.until('the walk', () => subscriber.leaves.size > 50);
  device.tick();
  await subscriber.until('a tick', () => subscriber.sequences().at(-1) === 1n);
  expect(subscriber.syncs).toBe(0);
  await device.apply({ kind: 'limit', streams: 1 });
  expect(await client.subscribe(streamOf(['/'])).ended()).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
  await device.apply({ kind: 'clear' });
  await device.apply({ kind: 'encoding', offers: ['ASCII'] });
  expect(await client.subscribe(streamOf(['/'])).ended()).toMatchObject({ code: status.UNIMPLEMENTED });
  await device.apply({ kind: 'encoding', offers: ['PROTO'], sends: 'json' });
  const wrong = client.subscribe(streamOf(['/']));
  await wrong.synced();
  expect(new Set([...wrong.leaves.values()].map(({ value }) => value?.kind))).toEqual(new Set(['json']));
  await device.apply({ kind: 'clear' });
  await isWell();
});

test('a clock step moves timestamps, and nothing but a step makes them fall', async () => {
  const subscriber = client.subscribe(streamOf(['/']));
  await subscriber.synced();
  const last = (): bigint => subscriber.responses.at(-1)!.update!.timestamp;
  const tick = async (): Promise<bigint> => {
    device.tick();
    await subscriber.until('a tick', () => subscriber.sequences().at(-1) === BigInt(device.sequence));
    return last();
  };
  const before = await tick();
  await device.apply({ kind: 'clock-step', byMs: 3_600_000 });
  expect((await tick()) - before).toBeGreaterThan(3_599_000_000_000n);
  await device.apply({ kind: 'clock-step', byMs: -7_200_000 });
  expect(await tick()).toBeLessThan(before);
});

test('a reader that does not read is dropped with RESOURCE_EXHAUSTED, the others go on (T22)', async () => {
  await withFleet({ outboxBounds: { messages: 100, bytes: 10_000_000 } }, async (bounded) => {
    const dut = bounded.device('dut-1');
    const clients = [new GnmiClient(dut.address), new GnmiClient(dut.address)] as const;
    const [stalled, reading] = [clients[0].subscribe(streamOf(['/'])), clients[1].subscribe(streamOf(['/']))];
    await stalled.synced();
    await reading.synced();
    stalled.call.pause();
    // HTTP/2 flow control takes what fits its windows, the stream sixteen messages, the outbox a hundred.
    for (let round = 0; round < 50 && dut.streams === 2; round += 1) {
      for (let tick = 0; tick < 20; tick += 1) dut.tick();
      await reading.until(
        'the ticks',
        () => reading.sequences(reading.responses.length - 1).at(-1) === BigInt(dut.sequence),
      );
    }
    expect(dut.streams).toBe(1);
    expect(dut.sequence).toBeGreaterThan(100);
    stalled.call.resume();
    expect(await stalled.ended()).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
    for (const one of clients) one.close();
  });
});

test('credentials are checked on every RPC (T6)', async () => {
  const password = new Redacted('right');
  await withFleet({ credentials: { username: 'telemetry', password } }, async (guarded) => {
    const { address } = guarded.device('dut-1');
    for (const given of [{}, { username: 'telemetry' }, { username: 'telemetry', password: 'wrong' }]) {
      const stranger = new GnmiClient(address, given);
      expect(await stranger.subscribe(streamOf(['/'])).ended()).toMatchObject({ code: status.UNAUTHENTICATED });
      await expect(stranger.unary('Capabilities', Buffer.alloc(0))).rejects.toMatchObject({
        code: status.UNAUTHENTICATED,
      });
      stranger.close();
    }
    const known = new GnmiClient(address, { username: 'telemetry', password: 'right' });
    await known.subscribe(streamOf(['/'])).synced();
    known.close();
  });
});

test('TLS and mutual TLS: the right certificates work, every wrong one is refused (T1, T3)', async () => {
  const certificates = await createFleetCertificates(Date.now());
  const ca = Buffer.from(certificates.authority.cert);
  const pair = { key: Buffer.from(certificates.client.key), cert: Buffer.from(certificates.client.cert) };
  const security = () => Promise.resolve({ certificates, mutual: true });
  await withFleet({ security }, async (secure) => {
    const dut = secure.device('dut-1');
    const outcome = async (channel = credentials.createSsl(ca, pair.key, pair.cert)): Promise<string> => {
      const one = new GnmiClient(dut.address, { channel });
      try {
        const subscriber = one.subscribe(streamOf(['/']));
        await subscriber.until('an outcome', () => subscriber.syncs > 0 || subscriber.end !== null);
        return subscriber.syncs > 0 ? 'synced' : subscriber.end!.details;
      } finally {
        one.close();
      }
    };
    expect(await outcome()).toBe('synced');
    expect(await outcome(credentials.createSsl(ca))).not.toBe('synced');
    expect(await outcome(credentials.createInsecure())).not.toBe('synced');
    for (const [which, said] of [
      ['expired', /expired/],
      ['misnamed', /altnames|Hostname/i],
      ['untrusted', /unable to|self.signed|issuer/i],
    ] as const) {
      await dut.apply({ kind: 'certificate', which });
      expect(await outcome()).toMatch(said);
    }
    await dut.apply({ kind: 'clear' });
    expect(await outcome()).toBe('synced');
  });
});
