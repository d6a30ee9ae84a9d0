import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../core/clock.ts';
import { type Logger, silentLogger } from '../../core/logger.ts';
import { encodeTypedValue } from '../../schemas/value.ts';
import { LeafStore } from '../../query-api/leaf-store.ts';
import { type SlotPlaceSaved } from '../../query-api/slot-head.ts';
import { SnapshotFolder } from '../../query-api/snapshot-folder.ts';
import { type SnapshotLog, Snapshots } from '../../query-api/snapshots.ts';

const log: SnapshotLog = { identity: { clusterId: 'c', topicId: 't', slots: 3 }, deleteRetentionMs: 86_400_000 };
const { signal } = new AbortController();
let dir = '';
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'holdfast-snapshots-'));
});
afterEach(() => rm(dir, { recursive: true }));

const placeOf = (slot: number, nextOffset = 5n): SlotPlaceSaved => ({
  nextOffset,
  logTimeMs: 1,
  epoch: 3n,
  seq: BigInt(slot + 1),
  marker: null,
  index: Buffer.from([slot]),
});
function createSnapshots(
  of: Partial<{
    store: LeafStore;
    nowMs: number;
    instanceId: string;
    intervalMs: number;
    place: (slot: number) => SlotPlaceSaved | null;
    restored: (slot: number, place: SlotPlaceSaved) => void;
    log: Partial<SnapshotLog['identity']> | null;
  }> = {},
) {
  const lines: Record<string, unknown>[] = [];
  const logger: Logger = { ...silentLogger, warn: (fields: unknown) => lines.push(fields as Record<string, unknown>) };
  const store = of.store ?? new LeafStore();
  const folder = new SnapshotFolder(dir, of.instanceId ?? 'query-1');
  const snapshots = new Snapshots({
    folder,
    store,
    place: of.place ?? ((slot) => (slot === 2 ? null : placeOf(slot))),
    restored: of.restored ?? (() => undefined),
    log: () => (of.log === null ? null : { ...log, identity: { ...log.identity, ...of.log } }),
    intervalMs: of.intervalMs ?? 60_000,
    clock: { ...systemClock, nowMs: () => of.nowMs ?? 1_800_000_000_000 },
    logger,
  });
  return { snapshots, store, folder, lines };
}
const long = 'x'.repeat(2_000);
const fill = (store: LeafStore, count = 3, name = 'a') => {
  for (let n = 0; n < count; n += 1) {
    const record = {
      value: encodeTypedValue({ kind: 'uint', value: BigInt(n) }),
      timestampNs: 1n,
      sampled: true,
      atomicRoot: '',
    };
    store.apply(n % 2, `d${n % 2}`, `openconfig:/${name}[k=${n}]`, record, { epoch: 3n, seq: 1n, receivedAtNs: 1n });
  }
};
async function written(): Promise<void> {
  const { snapshots, store } = createSnapshots();
  fill(store);
  await snapshots.writeChanged(signal);
}
/** What a start finds. */
async function loaded(of: Parameters<typeof createSnapshots>[0] = {}) {
  const made = createSnapshots(of);
  const places = [await made.snapshots.load(0), await made.snapshots.load(1), await made.snapshots.load(2)];
  made.snapshots.sayRefused();
  return { ...made, places };
}

test('slots that were read to their end are written and come back with their places; the others are not there', async () => {
  await written();
  expect((await readdir(join(dir, 'state', 'i-query-1'))).sort()).toEqual(['slot-0.snapshot', 'slot-1.snapshot']);
  const { places, store, lines } = await loaded();
  expect(places).toEqual([placeOf(0), placeOf(1), null]);
  expect([store.size, [...store.devices()]]).toEqual([3, ['d0', 'd1']]);
  expect(lines).toEqual([]);
});

test.each<[string, Parameters<typeof createSnapshots>[0], string]>([
  ['of another cluster', { log: { clusterId: 'other' } }, 'it is of cluster c'],
  ['of a topic that was made anew', { log: { topicId: 'other' } }, 'it is of topic t'],
  ['of another number of slots', { log: { slots: 4 } }, 'it is of 3 slots, not 4'],
  ['older than half of delete.retention.ms', { nowMs: 1_800_000_000_000 + 43_200_001 }, 'it is older than 43200 s'],
  ['of the future', { nowMs: 1_800_000_000_000 - 60_001 }, 'it is of the future'],
])('a snapshot %s is refused in one line, and its slots are read from the topic (SS1)', async (_, of, cause) => {
  await written();
  const { places, store, lines } = await loaded(of);
  expect(places).toEqual([null, null, null]);
  expect(store.size).toBe(0);
  expect(lines).toEqual([expect.objectContaining({ slots: [0, 1], cause: expect.stringContaining(cause) })]);
});

test('at the edge of what is believed it is believed (SS1)', async () => {
  await written();
  expect((await loaded({ nowMs: 1_800_000_000_000 + 43_200_000 })).places[0]).not.toBeNull();
  expect((await loaded({ nowMs: 1_800_000_000_000 - 60_000 })).places[0]).not.toBeNull();
});

test('without knowing the log nothing is believed, and nothing written (SS1)', async () => {
  await written();
  const { snapshots, folder } = createSnapshots({ log: null, place: (slot) => placeOf(slot, 9n) });
  const before = await folder.read(0);
  await snapshots.writeChanged(signal);
  expect(await folder.read(0)).toEqual(before);
  const { places, lines } = await loaded({ log: null });
  expect(places).toEqual([null, null, null]);
  expect(lines).toEqual([expect.objectContaining({ cause: 'it is not known which log it would have to be of' })]);
});

test('a place that the copy cannot take costs the slot its leaves, too (SS1)', async () => {
  await written();
  const restored = (slot: number) => {
    if (slot === 1) throw new Error('no position index');
  };
  const { places, store, lines } = await loaded({ restored });
  expect(places).toEqual([placeOf(0), null, null]);
  expect([...store.devices()]).toEqual(['d0']);
  expect(lines).toEqual([expect.objectContaining({ slots: [1], cause: expect.stringContaining('no position index') })]);
});

test('a slot that is read otherwise while its file is read keeps what it has', async () => {
  await written();
  const { snapshots, store, lines } = createSnapshots();
  const loading = snapshots.load(0);
  store.clearSlot(0);
  store.apply(0, 'read', 'openconfig:/x', null, { epoch: 1n, seq: 1n, receivedAtNs: 1n });
  expect(await loading).toBeNull();
  expect(store.devicesOf(0)).toEqual(['read']);
  snapshots.sayRefused();
  expect(lines).toEqual([]);
});

test.each<[string, (bytes: Buffer) => Buffer | string]>([
  ['cut short', (bytes) => bytes.subarray(0, bytes.length - 1)],
  ['empty', () => ''],
  [
    'damaged in its last block',
    (bytes) => Buffer.concat([bytes.subarray(0, -3), Buffer.from([255]), bytes.subarray(-2)]),
  ],
  ['something else', () => 'hello'],
  ['of a later version', (bytes) => Buffer.concat([Buffer.from('HFSTATE\x02'), bytes.subarray(8)])],
])('a file that is %s costs its slot the snapshot, and no other (SS1)', async (_, damage) => {
  await written();
  const file = join(dir, 'state', 'i-query-1', 'slot-1.snapshot');
  await writeFile(file, damage(await readFile(file)));
  const { places, store, lines } = await loaded();
  expect(places).toEqual([placeOf(0), null, null]);
  expect([...store.devices()]).toEqual(['d0']);
  expect(lines).toEqual([expect.objectContaining({ slots: [1] })]);
});

test('a file in the place of another slot is refused (SS1)', async () => {
  await written();
  const file = (slot: number) => join(dir, 'state', 'i-query-1', `slot-${slot}.snapshot`);
  await writeFile(file(2), await readFile(file(0)));
  const { places, lines } = await loaded();
  expect(places[2]).toBeNull();
  expect(lines).toEqual([expect.objectContaining({ slots: [2], cause: 'it is of slot 0' })]);
});

test('only slots that went on are written again', async () => {
  const places = [placeOf(0), placeOf(1), null];
  const { snapshots, store, folder } = createSnapshots({ place: (slot) => places[slot] ?? null });
  fill(store);
  await snapshots.writeChanged(signal);
  const first = await Promise.all([folder.read(0), folder.read(1)]);
  fill(store, 6);
  places[1] = placeOf(1, 6n);
  await snapshots.writeChanged(signal);
  const second = await Promise.all([folder.read(0), folder.read(1)]);
  expect(second[0]).toEqual(first[0]);
  expect(second[1]).not.toEqual(first[1]);
  store.clearSlot(0); // read anew, to the same offset
  await snapshots.writeChanged(signal);
  expect(await folder.read(0)).not.toEqual(first[0]);
});

test('others have their turns while a slot is written (SS2), and one that is cleared meanwhile keeps its old file (SN1)', async () => {
  const store = new LeafStore();
  const { snapshots, folder } = createSnapshots({
    store,
    place: (slot) => (slot === 0 ? placeOf(0, BigInt(store.size)) : null),
  });
  fill(store, 2_000, long);
  let turns = 0;
  const timer = setInterval(() => (turns += 1), 0);
  await snapshots.writeChanged(signal);
  clearInterval(timer);
  expect(turns).toBeGreaterThan(1);
  const whole = await folder.read(0);
  fill(store, 3_000, long);
  const writing = snapshots.writeChanged(signal);
  setImmediate(() => store.clearSlot(0));
  await writing;
  expect(whole?.equals((await folder.read(0)) ?? Buffer.alloc(0))).toBe(true);
  expect(await readdir(folder.path)).toEqual(['slot-0.snapshot']);
});

test('a disk that cannot be written costs a line, not more (SS3)', async () => {
  await writeFile(join(dir, 'state'), 'a file where the folder would be');
  const { snapshots, store, lines } = createSnapshots();
  fill(store);
  await snapshots.writeChanged(signal);
  await snapshots.writeChanged(signal);
  expect(lines).toEqual([expect.objectContaining({ cause: expect.stringContaining('ENOTDIR') })]);
  expect(await snapshots.load(0)).toBeNull();
});

test('it writes every interval, and at a stop', async () => {
  let next = 1n;
  const on = createSnapshots({ intervalMs: 20, place: (slot) => (slot === 0 ? placeOf(0, next) : null) });
  fill(on.store);
  on.snapshots.start();
  const deadlineMs = Date.now() + 5_000;
  while ((await on.folder.read(0)) === null && Date.now() < deadlineMs) await systemClock.sleep(5);
  next = 7n;
  await on.snapshots.stop();
  await on.snapshots.stop();
  const { places } = await loaded();
  expect(places[0]?.nextOffset).toBe(7n);
});

test('instances of any name have folders of their own below the data folder', () => {
  const names = ['..', '.', 'a/b', 'a', '../a', 'A%2Fb', ''].map((id) => new SnapshotFolder('/data', id).path);
  expect(new Set(names).size).toBe(names.length);
  for (const name of names) expect(name).toMatch(/^\/data\/state\/i-[^/]*$/);
});
