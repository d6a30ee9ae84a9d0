/** Sessions: how they begin, how they end, and how often they are tried. */
import { expect } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../support/eventually.ts';
import { hangUp, listen, pauses, silence, tooManyPings } from './bad-listener.ts';
import { message, note } from './message.ts';
import { type Scenario } from './scenario.ts';
import { timers } from './stage.ts';

const bytes = (size: number) => ({ kind: 'bytes', value: Buffer.alloc(size, 7) }) as const;
/** The shortest of the longest pauses, for jitter is by half; the first four pauses are on the way to it. */
const longestPauseMsMin = timers.redialMsMax / 2;
const dialsToSee = 11;

/** Together, because the moment at which one dial is seen depends on what else this process does. */
function expectBackOff(dialsMonotonicMs: readonly number[]): void {
  const longest = pauses(dialsMonotonicMs.slice(0, dialsToSee)).slice(4);
  expect(longest).toHaveLength(6);
  const togetherMs = longest.reduce((sum, pauseMs) => sum + pauseMs, 0);
  expect(togetherMs).toBeGreaterThan(longest.length * longestPauseMsMin);
}

/** The device answers Subscribe with a status. */
function refusal(id: string, code: number, details: string, expected: string, title: string): Scenario {
  return {
    id: `client/refused-${id}`,
    title,
    rules: 'T19',
    run: async (stage) => {
      const device = await stage.device({}, { refuse: { code, details } });
      expect((await device.failsWith(expected)).detail).toContain(details);
      expect(await device.kinds()).toEqual([]); // a session that heard nothing leaves no marker
      device.scripted.options = {};
      (await device.stream()).sync();
      expect((await device.stateIs('synced')).code).toBeNull();
    },
  };
}

export const clientSession: readonly Scenario[] = [
  refusal(
    'invalid-argument',
    3,
    'no such path',
    'SUBSCRIPTION_REFUSED',
    'INVALID_ARGUMENT is said as refused subscriptions, and tried again slowly',
  ),
  refusal(
    'permission',
    7,
    'not for you',
    'PERMISSION_DENIED',
    'PERMISSION_DENIED is said as such, and tried again slowly',
  ),
  refusal(
    'unimplemented',
    12,
    'no Subscribe here',
    'SUBSCRIPTION_REFUSED',
    'UNIMPLEMENTED is said as refused subscriptions, and tried again slowly',
  ),
  refusal('unavailable', 14, 'going down', 'UNREACHABLE', 'UNAVAILABLE is tried again with the usual back-off'),
  refusal(
    'limit',
    8,
    'too many subscriptions',
    'SUBSCRIPTION_LIMIT',
    'RESOURCE_EXHAUSTED is reported as the device’s limit of subscriptions, and tried again',
  ),
  {
    id: 'client/bytes-as-received',
    title: 'what is published is what the device sent, byte for byte and in order, between opened, synced and closed',
    rules: 'L4 T18 T17',
    run: async (stage) => {
      const device = await stage.device();
      const stream = await device.stream();
      const odd = Buffer.concat([message([[99, 'unknown']]), note({ t: 2, set: { '/b': 2n ** 64n - 1n } })]);
      const sent = [note({ t: 1, set: { '/a': 1 } }), odd, note({ t: 3, target: 'x', del: ['/a'] })];
      device.send(...sent.slice(0, 2));
      stream.sync();
      device.send(...sent.slice(2));
      expect(await device.publishes(3)).toEqual(sent);
      stream.end();
      await device.stream(1);
      expect(await device.kinds()).toEqual(['opened', 'data', 'data', 'synced', 'data', 'closed']);
    },
  },
  {
    id: 'client/connected',
    title: 'a device counts as connected after its first message, not after the dial',
    rules: 'T18',
    run: async (stage) => {
      const device = await stage.device();
      await device.stream();
      await sleep(300);
      expect((await device.status()).state).toBe('connecting');
      expect(await device.kinds()).toEqual([]);
      device.send({ t: 1, set: { '/a': 1 } });
      await device.stateIs('connected');
    },
  },
  {
    id: 'client/lost',
    title: 'a lost stream is a closed marker and a status at once, and the device is dialled again',
    rules: 'T17',
    run: async (stage) => {
      const device = await stage.synced();
      device.scripted.streams[0]?.fail(13, 'out of memory');
      (await device.stream(1)).sync();
      const markers = await stage.markers(device.name);
      expect(markers.map(({ kind, reason }) => `${kind} ${reason}`).slice(0, 3)).toEqual([
        'opened ',
        'synced ',
        'closed error',
      ]);
      expect(markers.find(({ reason }) => reason === 'error')?.detail).toContain('out of memory');
    },
  },
  {
    id: 'client/error-response',
    title: 'a deprecated error response and an empty one are survived, and later updates arrive',
    rules: 'T20',
    run: async (stage) => {
      const device = await stage.synced();
      device.send(message([[4, message([[2, 'old style']])]]), Buffer.alloc(0), { t: 1, set: { '/a': 1 } });
      expect(await device.state()).toEqual({ '/a': '1' });
      expect(device.scripted.streams).toHaveLength(1);
    },
  },
  {
    id: 'client/garbage',
    title: 'a message that is no SubscribeResponse is marked as a gap, and the session goes on',
    rules: 'T20 V18',
    run: async (stage) => {
      const device = await stage.synced();
      device.send(Buffer.from([0x0a, 0xff, 0xff, 0x01]), { t: 1, set: { '/a': 1 } });
      expect(await device.state()).toEqual({ '/a': '1' });
      expect(await device.kinds()).toEqual(['opened', 'synced', 'gap', 'data', 'data']);
      expect(device.scripted.streams).toHaveLength(1);
    },
  },
  {
    id: 'client/big-message',
    title: 'a message of 5 MiB, above what gRPC takes by default, arrives whole',
    rules: 'T11 L10',
    run: async (stage) => {
      const device = await stage.synced();
      const sent = note({ t: 1, set: { '/a': bytes(5 * 1024 * 1024) } });
      device.send(sent);
      const [published] = await device.publishes(1);
      expect(published?.equals(sent)).toBe(true);
    },
  },
  {
    id: 'client/too-big-message',
    title: 'one above the limit ends the session by name, leaves a gap marker, and the device is read again',
    rules: 'T11',
    run: async (stage) => {
      const device = await stage.synced();
      device.send({ t: 1, set: { '/a': bytes(17 * 1024 * 1024) } });
      const { detail } = await device.failsWith('MESSAGE_TOO_LARGE');
      expect(detail).toMatch(/more than maxMessageBytes 16777216; raise it/);
      await device.stream(1);
      expect(await device.kinds()).toEqual(['opened', 'synced', 'gap', 'closed']);
    },
  },
  {
    id: 'client/too-many-pings',
    title:
      'a server that says too_many_pings is left alone for longer and longer, and collected when it has calmed down',
    rules: 'T12',
    run: async (stage) => {
      const device = await stage.prepared();
      const angry = await listen(stage, tooManyPings());
      await device.put({ addresses: [angry.address] });
      await eventually('dials', 30_000, () => angry.dialsMonotonicMs.length >= dialsToSee);
      await device.failsWith('UNREACHABLE');
      expectBackOff(angry.dialsMonotonicMs);
      await device.put({ addresses: [device.scripted.address] });
      (await device.stream(device.scripted.streams.length)).sync();
      await device.stateIs('synced');
    },
  },
  {
    id: 'client/no-pings',
    title: 'an idle session sends no keepalive pings, and survives',
    rules: 'T12',
    run: async (stage) => {
      const device = await stage.synced();
      await sleep(2_500);
      device.send({ t: 1, set: { '/a': 1 } });
      expect(await device.state()).toEqual({ '/a': '1' });
      expect(device.scripted.streams).toHaveLength(1);
    },
  },
  {
    id: 'client/receive-timeout',
    title: 'a device that says nothing for longer than its record allows is dialled again',
    rules: 'T13',
    run: async (stage) => {
      const device = await stage.device({ receiveTimeoutMs: 600 });
      (await device.stream()).sync();
      const { detail } = await device.failsWith('RECEIVE_TIMEOUT');
      expect(detail).toMatch(/no message for 600 ms/);
      await device.stream(1);
    },
  },
  {
    id: 'client/dead-peer',
    title: 'a host that takes the connection and never answers is given up in time, and tried again',
    rules: 'T13 T14',
    run: async (stage) => {
      const dead = await listen(stage, silence());
      const device = await stage.prepared();
      await device.put({ addresses: [dead.address] });
      expect((await device.failsWith('UNREACHABLE')).detail).toMatch(/no answer within 1000 ms/);
      await eventually('a second dial', 20_000, () => dead.dialsMonotonicMs.length >= 2);
    },
  },
  {
    id: 'client/back-off',
    title: 'a device that refuses connections is dialled at growing intervals, up to the longest, for ever',
    rules: 'T14',
    run: async (stage) => {
      const closed = await listen(stage, hangUp());
      const device = await stage.prepared();
      await device.put({ addresses: [closed.address] });
      await eventually('dials', 30_000, () => closed.dialsMonotonicMs.length >= dialsToSee);
      expectBackOff(closed.dialsMonotonicMs);
    },
  },
  {
    id: 'client/flapping',
    title: 'a device that answers and drops at once is not hammered: back-off starts anew only after a long session',
    rules: 'T14',
    run: async (stage) => {
      const device = await stage.device();
      for (let n = 0; n < dialsToSee; n += 1) {
        const stream = await device.stream(n);
        device.send({ t: n + 1, set: { '/a': n } });
        stream.end();
      }
      expectBackOff(device.scripted.streams.map(({ openedMonotonicMs }) => openedMonotonicMs));
    },
  },
  {
    id: 'client/removed-in-back-off',
    title: 'a device removed while it waits for its next dial is not dialled again',
    rules: 'T15',
    run: async (stage) => {
      const closed = await listen(stage, hangUp());
      const device = await stage.prepared();
      await device.put({ addresses: [closed.address] });
      await eventually('three dials', 20_000, () => closed.dialsMonotonicMs.length >= 3);
      await device.remove();
      await sleep(300); // the removal travels through Kafka
      const dials = closed.dialsMonotonicMs.length;
      await sleep(timers.redialMsMax * 3);
      expect(closed.dialsMonotonicMs).toHaveLength(dials);
    },
  },
  {
    id: 'client/second-address',
    title: 'of several addresses the first that works is taken, in their order',
    rules: 'T16',
    run: async (stage) => {
      const closed = await listen(stage, hangUp());
      const device = await stage.prepared();
      const third = await stage.prepared();
      await device.put({ addresses: [closed.address, device.scripted.address, third.scripted.address] });
      (await device.stream()).sync();
      await device.stateIs('synced');
      expect(third.scripted.metadata).toEqual([]);
    },
  },
  {
    id: 'client/all-addresses-bad',
    title: 'when all are bad the status names each of them',
    rules: 'T16',
    run: async (stage) => {
      const closed = [await listen(stage, hangUp()), await listen(stage, hangUp())];
      const device = await stage.prepared();
      const addresses = closed.map(({ address }) => address);
      await device.put({ addresses });
      const { detail } = await device.failsWith('UNREACHABLE');
      for (const address of addresses) expect(detail).toContain(address);
    },
  },
  {
    id: 'client/change-disturbs-nobody',
    title: 'a change of one device’s configuration opens its session anew, and disturbs no other',
    rules: 'S4',
    run: async (stage) => {
      const [changed, neighbour] = [await stage.synced(), await stage.synced()];
      await changed.put({ subscriptions: [{ path: '/other' }] });
      const stream = await changed.stream(1);
      expect(stream.requests).toBe(1); // an RPC of its own, never a second list on the old one
      expect(changed.scripted.streams[0]).toMatchObject({ requests: 1, gone: true });
      neighbour.send({ t: 1, set: { '/a': 1 } });
      expect(await neighbour.state()).toEqual({ '/a': '1' });
      expect(neighbour.scripted.streams).toHaveLength(1);
    },
  },
];
