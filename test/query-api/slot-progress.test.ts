import { expect, test } from '@jest/globals';
import { SlotProgress } from '../../query-api/slot-progress.ts';

const marker = (seq: number, lagMs = 0, writtenAtMs = 0, epoch = 1) => ({
  epoch: BigInt(epoch),
  seq: BigInt(seq),
  lagMs,
  writtenAtMs,
});
const position = (seq: number, epoch = 1) => ({ slot: 3, epoch: BigInt(epoch), seq: BigInt(seq) });

test('staleness is the time since a live marker, by our clock, plus its lag (F1)', () => {
  const progress = new SlotProgress(3);
  progress.loaded(1_000);
  progress.marker(marker(1, 40), 2_000, true);
  expect(progress.freshness(2_500, 0)).toEqual({ kind: 'known', stalenessMs: 540 });
  progress.marker(marker(2, 0), 3_000, true);
  expect(progress.freshness(3_010, 0)).toEqual({ kind: 'known', stalenessMs: 10 });
});

test('a marker that arrives while we are behind counts from when we last stood at the end (F2)', () => {
  const progress = new SlotProgress(3);
  progress.loaded(1_000);
  progress.applied(2_000, true);
  progress.applied(9_000, false);
  progress.marker(marker(1), 10_000, false);
  expect(progress.freshness(10_000, 0)).toEqual({ kind: 'known', stalenessMs: 8_000 });
  progress.marker(marker(2), 10_100, true);
  expect(progress.freshness(10_100, 0)).toEqual({ kind: 'known', stalenessMs: 0 });
});

test('markers read while loading do not count as live: the age is an estimate that says so (F2)', () => {
  const progress = new SlotProgress(3);
  progress.marker(marker(1, 5, 50_000), 900, true);
  expect(progress.freshness(950, 60_000)).toEqual({ kind: 'incomplete', reason: 'still being read' });
  progress.loaded(1_000);
  expect(progress.freshness(1_010, 60_000)).toEqual({ kind: 'estimated', stalenessMs: 10_005 });
  expect(progress.freshness(31_000, 60_000)).toEqual({ kind: 'estimated', stalenessMs: 30_005 });
});

test('a slot that no replicator ever wrote is incomplete and says why', () => {
  const progress = new SlotProgress(3);
  progress.loaded(1_000);
  expect(progress.freshness(1_000, 0)).toEqual({ kind: 'incomplete', reason: 'no replicator has written it yet' });
});

test('complete moves at the end of a batch, to its highest position (F3)', () => {
  const progress = new SlotProgress(3);
  expect(progress.complete).toBeNull();
  progress.record(1n, 5n);
  progress.record(1n, 5n);
  progress.record(1n, 7n);
  expect(progress.complete).toBeNull();
  progress.applied(0, true);
  expect(progress.complete).toEqual(position(7));
  progress.marker(marker(9), 0, true);
  progress.applied(0, true);
  expect(progress.complete).toEqual(position(9));
  progress.record(2n, 1n);
  progress.applied(0, true);
  expect(progress.complete).toEqual(position(1, 2));
});

test('complete never lies inside a position of which more follows (F3)', () => {
  const progress = new SlotProgress(3);
  progress.record(1n, 4n);
  progress.record(1n, 5n, true);
  progress.record(1n, 5n, true);
  progress.applied(0, true);
  expect([progress.complete, progress.unfinished]).toEqual([position(4), { epoch: 1n, seq: 5n }]);
  expect([progress.reached(position(4)), progress.reached(position(5))]).toEqual([true, false]);
  progress.marker(marker(5), 0, true);
  progress.applied(0, true);
  expect(progress.complete).toEqual(position(4));
  progress.record(1n, 5n, false);
  progress.record(1n, 5n, true);
  progress.applied(0, true);
  expect([progress.complete, progress.unfinished]).toEqual([position(5), null]);
});

test('a cut position whose rest never comes is complete with the next one, and one written again stays complete (F3)', () => {
  const progress = new SlotProgress(3);
  progress.record(1n, 5n, true);
  progress.applied(0, true);
  expect(progress.complete).toBeNull();
  progress.record(2n, 1n, true);
  progress.applied(0, true);
  expect(progress.complete).toEqual(position(5));
  progress.record(2n, 1n);
  progress.applied(0, true);
  progress.record(2n, 1n, true);
  progress.applied(0, true);
  expect([progress.complete, progress.unfinished]).toEqual([position(1, 2), null]);
});

test('complete never steps back, and late records of a lower position do not move it', () => {
  const progress = new SlotProgress(3);
  progress.marker(marker(9), 0, true);
  progress.record(1n, 4n, true);
  progress.applied(0, true);
  expect(progress.complete).toEqual(position(9));
  progress.marker(marker(3), 0, true);
  progress.applied(0, true);
  expect(progress.complete).toEqual(position(9));
});

test('a position between two that are seen is reached', () => {
  const progress = new SlotProgress(3);
  progress.record(1n, 5n);
  progress.record(1n, 9n, true);
  progress.applied(0, true);
  expect(progress.reached(position(7))).toBe(true);
  expect(progress.reached(position(9))).toBe(false);
  expect(progress.reached(position(1, 2))).toBe(false);
  progress.record(1n, 9n);
  progress.applied(0, true);
  expect(progress.reached(position(9))).toBe(true);
});
