/** Time and order, and what a session’s begin and end mean for the state. */
import { expect } from '@jest/globals';
import { story } from './cache-deletes.ts';
import { type Note } from './message.ts';
import { type Scenario } from './scenario.ts';
import { timers } from './stage.ts';

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length < 2) return [[...items]];
  return items.flatMap((item, index) => permutations(items.toSpliced(index, 1)).map((rest) => [item, ...rest]));
}

export const cacheOrder: readonly Scenario[] = [
  story(
    'same-path-twice',
    'N12',
    'of one path twice in one message the last counts',
    [
      {
        t: 1,
        set: [
          ['/a', 1],
          ['/b', 2],
          ['/a', 3],
        ],
      },
    ],
    { '/a': '3', '/b': '2' },
  ),
  story(
    'older-update',
    'N14',
    'an update older than the stored one is refused',
    [
      { t: 9, set: { '/a': 1 } },
      { t: 8, set: { '/a': 2 } },
    ],
    { '/a': '1' },
  ),
  story(
    'equal-time',
    'N14',
    'at equal time another value is accepted, the last in the log wins',
    [
      { t: 9, set: { '/a': 1 } },
      { t: 9, set: { '/a': 2 } },
    ],
    { '/a': '2' },
  ),
  story(
    'type-change',
    'N14 E6',
    'a leaf may change its type from one message to the next',
    [
      { t: 1, set: { '/a': 1 } },
      { t: 2, set: { '/a': 'one' } },
    ],
    { '/a': 'one' },
  ),
  story(
    'empty-notification',
    'N16',
    'a notification with neither update nor delete is legal',
    [{ t: 1, set: { '/a': 1 } }, { t: 2 }, { t: 3, prefix: '/a' }],
    { '/a': '1' },
  ),
  {
    id: 'cache/any-order',
    title: 'updates and deletes with distinct times make one state in every order of arrival',
    rules: 'N14 D6 D7',
    run: async (stage) => {
      const device = await stage.synced();
      const notes = (root: string): Note[] => [
        { t: 1, set: { [`${root}/x`]: 1, [`${root}/y`]: 1 } },
        { t: 2, del: [root] },
        { t: 3, set: { [`${root}/x`]: 3 } },
        { t: 4, del: [`${root}/x`] },
        { t: 5, set: { [`${root}/z`]: 5 } },
      ];
      const orders = permutations([0, 1, 2, 3, 4]);
      for (const [n, order] of orders.entries()) {
        const own = notes(`/order${n}`);
        device.send(...order.map((index) => own[index] as Note));
      }
      expect(await device.state()).toEqual(Object.fromEntries(orders.map((_, n) => [`/order${n}/z`, '5'])));
    },
  },
  {
    id: 'cache/many-deletes',
    title: '1,000 alternating updates and deletes of one leaf end as the last one says',
    rules: 'N14 D6',
    run: async (stage) => {
      const device = await stage.synced();
      for (let t = 1; t <= 1_000; t += 2) device.send({ t, set: { '/a': t, '/b': t } }, { t: t + 1, del: ['/a'] });
      expect(await device.state()).toEqual({ '/b': '999' });
    },
  },
  {
    id: 'cache/future',
    title: 'an update further ahead of its receipt than the setting allows is refused; the first of a device is not',
    rules: 'N13 N14',
    run: async (stage) => {
      const ahead = (ms: number): bigint => BigInt(Date.now() + ms) * 1_000_000n;
      const device = await stage.synced();
      device.send({ t: ahead(0), set: { '/a': 1 } }, { t: ahead(timers.futureLimitMs * 3), set: { '/a': 2 } });
      expect(await device.state()).toEqual({ '/a': '1' });
      const early = await stage.synced();
      early.send({ t: ahead(timers.futureLimitMs * 3), set: { '/a': 1 } });
      expect(await early.state()).toEqual({ '/a': '1' });
    },
  },
  {
    id: 'cache/no-time',
    title:
      'of a device that always sends time 0 the last update counts, and deletes remove nothing without the setting',
    rules: 'N13 D6',
    run: async (stage) => {
      const device = await stage.synced();
      device.send({ t: 0, set: { '/a': 1, '/b': 1 } }, { t: 0, set: { '/a': 2 } }, { t: 0, del: ['/b'] });
      expect(await device.state()).toEqual({ '/a': '2', '/b': '1' });
    },
  },
  {
    id: 'cache/order-by-receive-time',
    title:
      'with orderByReceiveTime updates and deletes of time 0 count in the order of their receipt, the time as sent',
    rules: 'N13 D6',
    run: async (stage) => {
      const device = await stage.synced({ orderByReceiveTime: true });
      device.send({ t: 9, set: { '/a': 1, '/b': 1 } }, { t: 3, set: { '/a': 2 } }, { t: 0, del: ['/b'] });
      const leaves = await device.leaves();
      expect(leaves.map(({ path, value, timestamp }) => [path, value, timestamp])).toEqual([['/a', '2', '3']]);
    },
  },
  {
    id: 'cache/sweep',
    title: 'after a resync what did not come back is gone, and not before its sync',
    rules: 'T17 D3',
    run: async (stage) => {
      const device = await stage.synced();
      device.send({ t: 1, set: { '/a': 1, '/b': 2, '/c': 3 } });
      await device.settled();
      const stream = await device.resubscribe();
      device.send({ t: 1, set: { '/a': 1 } }, { t: 9, set: { '/c': 4 } });
      expect(await device.state()).toEqual({ '/a': '1', '/b': '2', '/c': '4' });
      stream.sync();
      expect(await device.state()).toEqual({ '/a': '1', '/c': '4' });
    },
  },
  {
    id: 'cache/sweep-brings-back',
    title: 'what a sweep removed may come back with any time not older than its last',
    rules: 'T17 D7',
    run: async (stage) => {
      const device = await stage.synced();
      device.send({ t: 5, set: { '/a': 1 } });
      await device.settled();
      (await device.resubscribe()).sync();
      expect(await device.state()).toEqual({});
      device.send({ t: 5, set: { '/a': 1 } });
      expect(await device.state()).toEqual({ '/a': '1' });
    },
  },
  {
    id: 'cache/sweep-counts-seen',
    title: 'an update that a resync repeats late or as a duplicate is seen: its leaf stays',
    rules: 'T17 N14',
    run: async (stage) => {
      const device = await stage.synced();
      device.send({ t: 5, set: { '/duplicate': 1, '/stale': 2, '/gone': 3 } });
      await device.settled();
      const stream = await device.resubscribe();
      device.send({ t: 5, set: { '/duplicate': 1 } }, { t: 4, set: { '/stale': 9 } });
      stream.sync();
      expect(await device.state()).toEqual({ '/duplicate': '1', '/stale': '2' });
    },
  },
  {
    id: 'cache/sweep-own-paths',
    title: 'a sweep touches only what lies below the session’s own subscriptions',
    rules: 'T17',
    run: async (stage) => {
      const device = await stage.synced();
      device.send({ t: 1, set: { '/a/x': 1, '/b/x': 2 } });
      await device.settled();
      await device.put({ subscriptions: [{ path: '/a' }, { path: '/fence' }] });
      (await device.stream(1)).sync();
      expect(await device.state()).toEqual({ '/b/x': '2' });
    },
  },
  {
    id: 'cache/no-sweep-updates-only',
    title: 'a session of `updates_only` does not know the whole, and sweeps nothing',
    rules: 'M12 T17',
    run: async (stage) => {
      const device = await stage.synced();
      device.send({ t: 1, set: { '/a': 1 } });
      await device.settled();
      const profile = { updatesOnly: true, subscriptions: [{ path: '/' }] };
      expect((await stage.put(`/api/v1/profiles/only-${device.name}`, profile)).status).toBe(201);
      await device.put({ subscriptions: [], profiles: [`only-${device.name}`] });
      const stream = await device.stream(1);
      expect(stream.request?.subscribe?.updatesOnly).toBe(true);
      stream.sync();
      expect(await device.state()).toEqual({ '/a': '1' });
    },
  },
  {
    id: 'cache/no-sweep-after-loss',
    title: 'a resync in which a message was lost sweeps nothing: what is missing may have been in it',
    rules: 'T17 T11',
    run: async (stage) => {
      const device = await stage.synced();
      device.send({ t: 1, set: { '/a': 1 } });
      await device.settled();
      const stream = await device.resubscribe();
      device.send(Buffer.from([0x0a, 0xff, 0xff, 0x01]));
      stream.sync();
      expect(await device.state()).toEqual({ '/a': '1' });
    },
  },
  {
    id: 'cache/lost-stream',
    title: 'when the stream is lost the leaves stay, and readers are told that the device is not synced',
    rules: 'T17',
    run: async (stage) => {
      const device = await stage.synced();
      device.send({ t: 1, set: { '/a': 1 } });
      expect(await device.state()).toEqual({ '/a': '1' });
      const unsynced = async () =>
        (JSON.parse(await device.answer(['/a'])) as { data: { unsynced: string[]; leaves: unknown[] } }).data;
      expect(await unsynced()).toMatchObject({ unsynced: [], leaves: [{ value: '1' }] });
      device.scripted.stop();
      await device.stateIs('waiting');
      expect(await unsynced()).toMatchObject({ unsynced: [device.name], leaves: [{ value: '1' }] });
    },
  },
  {
    id: 'cache/absence',
    title: 'a leaf that is absent from later samples stays: absence does not prove that it is gone',
    rules: 'D3',
    run: async (stage) => {
      const subscriptions = [{ path: '/', mode: 'sample', intervalMs: 1_000 }];
      const device = await stage.synced({ subscriptions });
      device.send({ t: 1, set: { '/a': 1, '/b': 1 } }, { t: 2, set: { '/b': 2 } }, { t: 3, set: { '/b': 3 } });
      expect(await device.state()).toEqual({ '/a': '1', '/b': '3' });
    },
  },
];
