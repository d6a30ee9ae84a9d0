/** Subscribe of query-api's gNMI service: its modes. */
import { expect } from '@jest/globals';
import { status } from '@grpc/grpc-js';
import { setTimeout as sleep } from 'node:timers/promises';
import { gnmi } from '../../schemas/gnmi.ts';
import { type Scenario } from './scenario.ts';
import { holds, list, notifications, refuses, second, stream, toldTo } from './server-request.ts';
import { type ConformanceStage } from './stage.ts';
import { type StagedDevice } from './staged-device.ts';

async function withLeaves(
  stage: ConformanceStage,
  set: Record<string, number> = { '/a/x': 1, '/a/y': 2, '/b': 3 },
): Promise<StagedDevice> {
  const device = await stage.synced();
  device.send({ t: 1_000, set });
  await device.settled();
  return device;
}

const tenth = second / 10n;

export const serverSubscribe: readonly Scenario[] = [
  {
    id: 'server/once',
    title: 'ONCE: all values with the device’s times, one sync, closed with OK',
    rules: 'M1 S11',
    run: async (stage) => {
      const device = await withLeaves(stage);
      const once = stage.reader().subscribe(list(device.name, ['/a', '/b']));
      expect((await once.ended()).code).toBe(status.OK);
      expect(holds(once)).toEqual({ '/a/x': '1', '/a/y': '2', '/b': '3' });
      expect(new Set(notifications(once).map(({ timestamp }) => timestamp))).toEqual(new Set([1_000n]));
      expect(toldTo(once).at(-1)).toBe('sync');
      expect(once.syncs).toBe(1);
    },
  },
  {
    id: 'server/poll',
    title: 'POLL: a first set with sync, one more per Poll, and an end when the client has no more',
    rules: 'M2 S11',
    run: async (stage) => {
      const device = await withLeaves(stage);
      const poll = stage.reader().subscribe(list(device.name, ['/b'], { mode: 'POLL' }));
      await poll.synced(1);
      device.send({ t: 2_000, set: { '/b': 4 } });
      await device.settled();
      await sleep(100);
      expect(toldTo(poll)).toEqual(['/b="3"', 'sync']); // nothing unasked
      poll.send({ poll: {} });
      await poll.synced(2);
      expect(toldTo(poll, 2)).toEqual(['/b="4"', 'sync']);
      poll.call.end();
      expect((await poll.ended()).code).toBe(status.OK);
    },
  },
  {
    id: 'server/on-change',
    title: 'ON_CHANGE: the full set, one sync, then only changes, a subtree’s delete leaf by leaf',
    rules: 'M3 S11 D11',
    run: async (stage) => {
      const device = await withLeaves(stage);
      const changes = stage.reader().subscribe(stream(device.name, ['/a', '/b']));
      await changes.synced();
      expect(toldTo(changes).sort()).toEqual(['/a/x="1"', '/a/y="2"', '/b="3"', 'sync']);
      const from = changes.responses.length;
      device.send({ t: 2_000, set: { '/b': 4 } });
      await changes.until('the change', () => toldTo(changes, from).includes('/b="4"'));
      device.send({ t: 3_000, del: ['/a'] });
      await changes.until('the deletes', () => changes.leaves.size === 1);
      expect(toldTo(changes, from)).toEqual([
        '/b="4"',
        expect.stringMatching(/^-\/a\/[xy]$/),
        expect.stringMatching(/^-\/a\/[xy]$/),
      ]);
      expect(changes.syncs).toBe(1);
    },
  },
  {
    id: 'server/on-change-same-value',
    title: 'a value sent again with a newer time is no change',
    rules: 'M3 N14',
    run: async (stage) => {
      const device = await withLeaves(stage);
      const changes = stage.reader().subscribe(stream(device.name, ['/a', '/b']));
      await changes.synced();
      const from = changes.responses.length;
      device.send({ t: 2_000, set: { '/a/x': 1 } }, { t: 3_000, set: { '/b': 9 } });
      await changes.until('the change', () => toldTo(changes, from).includes('/b="9"'));
      expect(toldTo(changes, from)).toEqual(['/b="9"']);
    },
  },
  {
    id: 'server/on-change-heartbeat',
    title: 'ON_CHANGE with a heartbeat: every leaf again once per heartbeat, changed or not',
    rules: 'M4',
    run: async (stage) => {
      const device = await withLeaves(stage);
      const each = { mode: 'ON_CHANGE' as const, heartbeatInterval: tenth * 3n };
      const beats = stage.reader().subscribe(stream(device.name, ['/a'], each));
      await beats.synced();
      const from = beats.responses.length;
      const seen = (leaf: string): number => toldTo(beats, from).filter((one) => one === leaf).length;
      await beats.until('two heartbeats', () => seen('/a/x="1"') >= 2 && seen('/a/y="2"') >= 2);
      expect(seen('sync')).toBe(0);
    },
  },
  {
    id: 'server/sample',
    title: 'SAMPLE: each leaf once per interval, changed or not, with the time of its value',
    rules: 'M5',
    run: async (stage) => {
      const device = await withLeaves(stage);
      const samples = stage
        .reader()
        .subscribe(stream(device.name, ['/a'], { mode: 'SAMPLE', sampleInterval: tenth * 4n }));
      await samples.synced();
      const startedMs = performance.now();
      const from = samples.responses.length;
      const seen = (leaf: string): number => toldTo(samples, from).filter((one) => one === leaf).length;
      await samples.until('four samples', () => seen('/a/x="1"') >= 4 && seen('/a/y="2"') >= 4);
      expect(seen('/a/x="1"')).toBeLessThanOrEqual((performance.now() - startedMs) / 400 + 1);
      expect(notifications(samples).every(({ timestamp }) => timestamp === 1_000n)).toBe(true);
    },
  },
  {
    id: 'server/sample-between',
    title: 'SAMPLE sends nothing between its intervals, and the newest value at the next',
    rules: 'M5 M10',
    run: async (stage) => {
      const device = await withLeaves(stage);
      const each = { mode: 'SAMPLE' as const, sampleInterval: 2n ** 63n }; // beyond 2^31 ms and 2^53 ns: not at once
      const samples = stage.reader().subscribe(stream(device.name, ['/b'], each));
      const soon = stage.reader().subscribe(stream(device.name, ['/b'], { mode: 'SAMPLE', sampleInterval: second }));
      await Promise.all([samples.synced(), soon.synced()]);
      device.send({ t: 2_000, set: { '/b': 4 } }, { t: 3_000, set: { '/b': 5 } });
      await soon.until('a sample', () => toldTo(soon).includes('/b="5"'));
      expect(toldTo(samples)).toEqual(['/b="3"', 'sync']);
      expect(toldTo(soon)).not.toContain('/b="4"');
    },
  },
  {
    id: 'server/interval-unsupported',
    title: 'an interval shorter than the server can do is INVALID_ARGUMENT, never quietly rounded',
    rules: 'M6',
    run: async (stage) => {
      const device = await withLeaves(stage);
      const ask = (each: Parameters<typeof stream>[2], says: RegExp) =>
        refuses(stage.reader(), stream(device.name, ['/b'], each), status.INVALID_ARGUMENT, says);
      await ask({ mode: 'SAMPLE', sampleInterval: 1n }, /sample_interval of 1 ns.*100 ms/);
      await ask({ mode: 'ON_CHANGE', heartbeatInterval: 1_000n }, /heartbeat_interval/);
    },
  },
  {
    id: 'server/suppress-redundant',
    title: 'suppress_redundant is decided leaf by leaf: the changed one is sent, its unchanged sibling is not',
    rules: 'M7',
    run: async (stage) => {
      const device = await withLeaves(stage, { '/l[k=a]/v': 1, '/l[k=b]/v': 1 });
      const each = { mode: 'SAMPLE' as const, sampleInterval: tenth * 2n, suppressRedundant: true };
      const samples = stage.reader().subscribe(stream(device.name, ['/l'], each));
      await samples.synced();
      const from = samples.responses.length;
      device.send({ t: 2_000, set: { '/l[k=a]/v': 2 } });
      await samples.until('the changed one', () => toldTo(samples, from).length > 0);
      await sleep(600);
      expect(toldTo(samples, from)).toEqual(['/l[k=a]/v="2"']);
    },
  },
  {
    id: 'server/suppress-heartbeat',
    title: 'with a heartbeat each leaf comes at least once per heartbeat whatever suppress_redundant says',
    rules: 'M8',
    run: async (stage) => {
      const device = await withLeaves(stage);
      const each = {
        mode: 'SAMPLE' as const,
        sampleInterval: tenth,
        suppressRedundant: true,
        heartbeatInterval: tenth * 5n,
      };
      const samples = stage.reader().subscribe(stream(device.name, ['/a'], each));
      await samples.synced();
      const [from, startedMs] = [samples.responses.length, performance.now()];
      const seen = (leaf: string): number => toldTo(samples, from).filter((one) => one === leaf).length;
      await samples.until('two heartbeats', () => seen('/a/x="1"') >= 2 && seen('/a/y="2"') >= 2);
      expect(seen('/a/x="1"')).toBeLessThanOrEqual((performance.now() - startedMs) / 500 + 1); // not at every sample
    },
  },
  {
    id: 'server/target-defined',
    title: 'TARGET_DEFINED acts as ON_CHANGE; with an interval it is INVALID_ARGUMENT',
    rules: 'M9 S9',
    run: async (stage) => {
      const device = await withLeaves(stage);
      const changes = stage.reader().subscribe(stream(device.name, ['/b'], {}));
      await changes.synced();
      device.send({ t: 2_000, set: { '/b': 4 } });
      await changes.until('the change', () => toldTo(changes).includes('/b="4"'));
      const each = { mode: 'TARGET_DEFINED' as const, sampleInterval: second };
      await refuses(stage.reader(), stream(device.name, ['/b'], each), status.INVALID_ARGUMENT, /TARGET_DEFINED/);
    },
  },
  {
    id: 'server/updates-only',
    title: 'updates_only: the sync first and no present value; later changes come, ONCE ends after the sync',
    rules: 'M11',
    run: async (stage) => {
      const device = await withLeaves(stage);
      const reader = stage.reader();
      const once = reader.subscribe(list(device.name, ['/'], { updatesOnly: true }));
      expect((await once.ended()).code).toBe(status.OK);
      const poll = reader.subscribe(list(device.name, ['/'], { mode: 'POLL', updatesOnly: true }));
      await poll.synced();
      expect([toldTo(once), toldTo(poll)]).toEqual([['sync'], ['sync']]);
      const changes = reader.subscribe(stream(device.name, ['/a', '/b'], { mode: 'ON_CHANGE' }, { updatesOnly: true }));
      await changes.synced();
      device.send({ t: 2_000, set: { '/b': 4 } });
      await changes.until('the change', () => toldTo(changes).length > 1);
      expect(toldTo(changes)).toEqual(['sync', '/b="4"']);
    },
  },
  {
    id: 'server/fields-that-do-not-fit',
    title: 'sample_interval and suppress_redundant on ON_CHANGE, and a QoS marking, are ignored',
    rules: 'M13 T23',
    run: async (stage) => {
      const device = await withLeaves(stage);
      const each = { mode: 'ON_CHANGE' as const, sampleInterval: second, suppressRedundant: true };
      const changes = stage.reader().subscribe(stream(device.name, ['/b'], each, { qos: { marking: 10 } }));
      await changes.synced();
      device.send({ t: 2_000, set: { '/b': 4 } });
      await changes.until('the change', () => toldTo(changes).length > 2);
      expect(toldTo(changes)).toEqual(['/b="3"', 'sync', '/b="4"']);
    },
  },
  {
    id: 'server/path-appears',
    title: 'a path that does not exist: STREAM syncs and sends it when it appears, ONCE sends only the sync',
    rules: 'S7',
    run: async (stage) => {
      const device = await withLeaves(stage);
      const once = stage.reader().subscribe(list(device.name, ['/not/yet']));
      expect((await once.ended()).code).toBe(status.OK);
      expect(toldTo(once)).toEqual(['sync']);
      const changes = stage.reader().subscribe(stream(device.name, ['/not/yet']));
      await changes.synced();
      device.send({ t: 2_000, set: { '/not/yet': 1 } });
      await changes.until('the leaf', () => toldTo(changes).includes('/not/yet="1"'));
    },
  },
  {
    id: 'server/overlap',
    title: 'a leaf of several subscriptions comes once in the first set and once per change',
    rules: 'S14',
    run: async (stage) => {
      const device = await withLeaves(stage);
      const changes = stage.reader().subscribe(stream(device.name, ['/a', '/a/x', '/.../x', '/']));
      await changes.synced();
      const count = (what: string): number => toldTo(changes).filter((one) => one === what).length;
      expect(count('/a/x="1"')).toBe(1);
      device.send({ t: 2_000, set: { '/a/x': 9 } });
      await device.settled();
      await changes.until('the change', () => count('/a/x="9"') > 0);
      await sleep(100);
      expect(count('/a/x="9"')).toBe(1);
    },
  },
  {
    id: 'server/walk-and-change',
    title: 'changes during the initial walk are neither lost nor overtaken by older values of the walk',
    rules: 'S13 S11',
    run: async (stage) => {
      const device = await stage.synced();
      const set = (value: number) => Object.fromEntries(Array.from({ length: 2_000 }, (_, n) => [`/w/n${n}`, value]));
      device.send({ t: 1, set: set(1) });
      await device.settled();
      const readers = Array.from({ length: 3 }, () => stage.reader().subscribe(stream(device.name, ['/w'])));
      for (let t = 2; t <= 12; t += 1) device.send({ t, set: set(t) });
      for (const one of readers) {
        await one.synced();
        await one.until(
          'the last values',
          () => new Set(Object.values(holds(one))).size === 1 && holds(one)['/w/n0'] === '12',
        );
        expect(one.leaves.size).toBe(2_000);
        const values = toldTo(one).flatMap((what) =>
          what.startsWith('/w/n7=') ? [Number(JSON.parse(what.slice(6)))] : [],
        );
        expect(values).toEqual([...values].sort((a, b) => a - b));
      }
    },
  },
  {
    id: 'server/atomic',
    title: 'an atomic group is sent whole: its prefix, one time, atomic, in the first set and at each change',
    rules: 'A10 A12',
    run: async (stage) => {
      const device = await stage.synced();
      device.send({ t: 5, prefix: '/c', atomic: true, set: { '/x': 1, '/y': 1 } });
      await device.settled();
      const changes = stage.reader().subscribe(stream(device.name, ['/c']));
      await changes.synced();
      device.send({ t: 6, prefix: '/c', atomic: true, set: { '/y': 2, '/z': 2 } });
      await changes.until('the second', () => holds(changes)['/c/z'] === '2');
      expect(holds(changes)).toEqual({ '/c/y': '2', '/c/z': '2' });
      const groups = notifications(changes).filter(({ update }) => update.length > 0);
      expect(groups.map(({ atomic, timestamp, update }) => [atomic, timestamp, update.length])).toEqual([
        [true, 5n, 2],
        [true, 6n, 2],
      ]);
    },
  },
  {
    id: 'server/stalled-reader',
    title: 'a reader that stalls gets the newest values when it reads on, and is told how many it did not see',
    rules: 'T22 N15',
    run: async (stage) => {
      const device = await stage.synced();
      const padding = 'x'.repeat(40_000);
      const set = (n: number) =>
        Object.fromEntries(Array.from({ length: 4 }, (_, leaf) => [`/s/n${leaf}`, `${n} ${padding}`]));
      device.send({ t: 1, set: set(1) });
      await device.settled();
      const slow = stage.reader().subscribe(stream(device.name, ['/s']));
      await slow.synced();
      slow.call.pause();
      const last = 40; // 6 MB, far beyond what sockets hold
      for (let n = 2; n <= last; n += 1) {
        device.send({ t: n, set: set(n) });
        if (n % 10 === 0) await device.settled();
      }
      await device.settled();
      slow.call.resume();
      const latest = (): boolean => Object.values(holds(slow)).every((value) => String(value).startsWith(`${last} `));
      await slow.until('the last values', latest);
      const updates = notifications(slow).flatMap(({ update }) => update);
      const merged = updates.reduce((sum, { duplicates }) => sum + duplicates, 0);
      expect(merged).toBeGreaterThan(0);
      expect(updates.length + merged).toBe(last * 4); // delivered and merged are all that were made
    },
  },
  {
    id: 'server/duplicates-quiet',
    title: 'to a reader that keeps up no update is merged, and none says so',
    rules: 'N15 S10',
    run: async (stage) => {
      const device = await withLeaves(stage);
      const changes = stage.reader().subscribe(stream(device.name, ['/b']));
      await changes.synced();
      for (let n = 1; n <= 5; n += 1) {
        device.send({ t: 2_000 + n, set: { '/b': 10 + n } });
        await changes.until('the change', () => toldTo(changes).includes(`/b="${10 + n}"`));
      }
      expect(toldTo(changes).filter((one) => one !== 'sync')).toHaveLength(6);
      expect(notifications(changes).flatMap(({ update }) => update.map(({ duplicates }) => duplicates))).toEqual(
        Array(6).fill(0),
      );
    },
  },
  {
    id: 'server/wire',
    title: 'what is sent decodes as SubscribeResponse with one of update and sync, and nothing deprecated',
    rules: 'T20 E10',
    run: async (stage) => {
      const device = await withLeaves(stage);
      const once = stage.reader().subscribe(list(device.name, ['/a'], { encoding: 'JSON' }));
      await once.ended();
      for (const bytes of once.raw) {
        const { update, syncResponse, error } = gnmi.SubscribeResponse.decode(bytes);
        expect([update !== undefined, syncResponse === true, error]).toEqual([
          syncResponse !== true,
          syncResponse === true,
          undefined,
        ]);
        for (const { value, path } of update?.update ?? []) expect([value, path?.elems.length]).toEqual([undefined, 2]);
      }
    },
  },
];
