/** What is asked of devices: Capabilities, encodings, subscriptions; and when a device counts as synced. */
import { expect } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { formatPath } from '../../schemas/path.ts';
import { type ScriptedDeviceOptions } from '../support/scripted-device.ts';
import { json } from './message.ts';
import { type Scenario } from './scenario.ts';
import { timers } from './stage.ts';

/** The encoding that a device is asked for. */
function encoding(
  id: string,
  title: string,
  rules: string,
  expected: string,
  options: ScriptedDeviceOptions,
  record: object = {},
): Scenario {
  return {
    id: `client/${id}`,
    title,
    rules,
    run: async (stage) => {
      const device = await stage.device(record, options);
      const stream = await device.stream();
      expect(stream.request?.subscribe?.encoding).toBe(expected);
      stream.sync();
      device.send({ t: 1, set: { '/a': 1 } });
      expect(await device.state()).toEqual({ '/a': '1' });
    },
  };
}

const models = Array.from({ length: 5_000 }, (_, n) => ({
  name: `openconfig-model-${n}`,
  organization: 'OpenConfig working group',
  version: `1.${n}.0`,
}));

export const clientSubscribe: readonly Scenario[] = [
  encoding(
    'capabilities-big',
    'a Capabilities answer of 5,000 models is read, and the device subscribed',
    'E1',
    'PROTO',
    { models, encodings: ['PROTO'] },
  ),
  encoding(
    'capabilities-unimplemented',
    'a device without Capabilities is subscribed all the same, in JSON',
    'E2 E4',
    'JSON',
    { capabilitiesStatus: { code: 12, details: 'no' } },
  ),
  encoding('encoding-best', 'of the encodings on offer the best is asked for', 'E3', 'JSON_IETF', {
    encodings: ['ASCII', 'JSON', 'JSON_IETF'],
  }),
  encoding(
    'encoding-none',
    'a device that names no encodings is asked for JSON, which everybody speaks',
    'E4 E7',
    'JSON',
    { encodings: [] },
  ),
  encoding(
    'encoding-forced',
    'the encoding of the device record is asked for, whatever is offered',
    'E3',
    'ASCII',
    { encodings: ['PROTO'] },
    { encoding: 'ascii' },
  ),
  {
    id: 'client/encoding-refused',
    title: 'a device that refuses the encoding is reported as such, with what to do',
    rules: 'E3 E5 T19',
    run: async (stage) => {
      const device = await stage.device({}, { refuse: { code: 12, details: 'unsupported encoding: PROTO' } });
      expect((await device.failsWith('ENCODING_UNSUPPORTED')).detail).toMatch(/leave encoding out, or name one/);
    },
  },
  {
    id: 'client/encoding-other',
    title: 'a device that answers in another encoding than it was asked for is believed: the value’s field decides',
    rules: 'E6 E8',
    run: async (stage) => {
      const device = await stage.synced({ encoding: 'proto' });
      device.send({ t: 1, set: { '/a': json('{"x":1}'), '/b': { kind: 'ascii', value: 'text' } } });
      const leaves = await device.leaves();
      expect(leaves.map(({ type, value }) => [type, value])).toEqual([
        ['json', { x: 1 }],
        ['ascii', 'text'],
      ]);
    },
  },
  {
    id: 'client/one-rpc',
    title: 'all subscriptions of one encoding go into one RPC, in STREAM mode, under the device’s name as target',
    rules: 'S5 S9 N4',
    run: async (stage) => {
      const profile = { subscriptions: [{ path: '/p/q', mode: 'sample', intervalMs: 10_000 }] };
      expect((await stage.put('/api/v1/profiles/packed', profile)).status).toBe(201);
      const device = await stage.device({
        subscriptions: [{ path: '/a', mode: 'on-change' }, { path: '/b[k=v]/c' }],
        profiles: ['packed'],
      });
      const { subscribe } = await (await device.stream()).requested();
      expect(subscribe).toMatchObject({ mode: 'STREAM', prefix: { target: device.name } });
      expect(subscribe?.subscription.map(({ path, mode }) => [path && formatPath(path), mode])).toEqual([
        ['/p/q', 'SAMPLE'],
        ['/a', 'ON_CHANGE'],
        ['/b[k=v]/c', 'TARGET_DEFINED'],
      ]);
      await sleep(200);
      expect(device.scripted.streams).toHaveLength(1);
    },
  },
  {
    id: 'client/rpc-per-encoding',
    title: 'subscriptions of two encodings, and those of updates_only, have RPCs of their own',
    rules: 'S5 M11',
    run: async (stage) => {
      const profile = { encoding: 'json', updatesOnly: true, subscriptions: [{ path: '/p' }] };
      expect((await stage.put('/api/v1/profiles/apart', profile)).status).toBe(201);
      const device = await stage.device({ encoding: 'proto', profiles: ['apart'] });
      const lists = [await device.stream(0), await device.stream(1)].map(({ request }) => request?.subscribe);
      const asked = lists.map((list) => `${list?.encoding} ${list?.updatesOnly}`).sort();
      expect(asked).toEqual(['JSON true', 'PROTO false']);
    },
  },
  {
    id: 'client/subscription-fields',
    title: 'intervals and heartbeats are exact nanoseconds, and fields that do not fit a mode are not sent',
    rules: 'M4 M5 M9 M10 M13',
    run: async (stage) => {
      const msMax = 2 ** 31 - 1;
      const device = await stage.device({
        subscriptions: [
          { path: '/a', mode: 'sample', intervalMs: msMax, suppressRedundant: true, heartbeatMs: msMax },
          { path: '/b', mode: 'on-change', heartbeatMs: 60_000 },
          { path: '/c', mode: 'target-defined' },
        ],
      });
      const { subscribe } = await (await device.stream()).requested();
      const ns = BigInt(msMax) * 1_000_000n;
      expect(subscribe?.subscription).toMatchObject([
        { mode: 'SAMPLE', sampleInterval: ns, suppressRedundant: true, heartbeatInterval: ns },
        { mode: 'ON_CHANGE', sampleInterval: 0n, suppressRedundant: false, heartbeatInterval: 60_000_000_000n },
        { mode: 'TARGET_DEFINED', sampleInterval: 0n, suppressRedundant: false, heartbeatInterval: 0n },
      ]);
    },
  },
  {
    id: 'client/path-not-there',
    title: 'a device that has nothing of a path syncs with nothing, and its later update arrives',
    rules: 'S7',
    run: async (stage) => {
      const device = await stage.synced({ subscriptions: [{ path: '/not/yet' }, { path: '/fence' }] });
      expect(await device.state()).toEqual({});
      device.send({ t: 1, set: { '/not/yet': 1 } });
      expect(await device.state()).toEqual({ '/not/yet': '1' });
    },
  },
  {
    id: 'client/sync-after-updates',
    title: 'updates may flow before the sync: they are published, and the device is not synced before it',
    rules: 'S11 M3',
    run: async (stage) => {
      const device = await stage.device();
      const stream = await device.stream();
      device.send({ t: 1, set: { '/a': 1 } });
      expect(await device.state()).toEqual({ '/a': '1' });
      expect((await device.status()).state).toBe('connected');
      stream.sync();
      await device.stateIs('synced');
    },
  },
  {
    id: 'client/sync-false',
    title: 'sync_response false is no sync',
    rules: 'S12',
    run: async (stage) => {
      const device = await stage.device();
      const stream = await device.stream();
      stream.sync(false);
      device.send({ t: 1, set: { '/a': 1 } });
      await device.settled();
      expect(await device.kinds()).not.toContain('synced');
      stream.sync();
      await device.stateIs('synced');
    },
  },
  {
    id: 'client/sync-twice',
    title: 'a second sync is tolerated, and is not a second resync',
    rules: 'S12',
    run: async (stage) => {
      const device = await stage.synced();
      device.send({ t: 1, set: { '/a': 1 } });
      device.scripted.streams[0]?.sync();
      expect(await device.state()).toEqual({ '/a': '1' });
      expect((await device.kinds()).filter((kind) => kind === 'synced')).toHaveLength(1);
    },
  },
  {
    id: 'client/sync-missing',
    title: 'a device that never says sync has failed after the time-out, and is dialled again',
    rules: 'S12',
    run: async (stage) => {
      const device = await stage.device();
      await device.stream();
      device.send({ t: 1, set: { '/a': 1 } });
      const { detail } = await device.failsWith('SYNC_TIMEOUT');
      expect(detail).toContain(`${timers.syncTimeoutMs} ms`);
      await device.stream(1);
    },
  },
  {
    id: 'client/sync-of-all',
    title: 'with several RPCs a device is synced after the sync of every one',
    rules: 'S11 S12',
    run: async (stage) => {
      const profile = { encoding: 'json', subscriptions: [{ path: '/p' }] };
      expect((await stage.put('/api/v1/profiles/of-all', profile)).status).toBe(201);
      const device = await stage.device({ encoding: 'proto', profiles: ['of-all'] });
      const streams = [await device.stream(0), await device.stream(1)];
      streams[1]?.sync();
      device.send({ t: 1, set: { '/a': 1 } });
      await device.settled();
      expect((await device.status()).state).toBe('connected');
      streams[0]?.sync();
      await device.stateIs('synced');
    },
  },
];
