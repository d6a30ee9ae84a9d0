import { expect, test } from '@jest/globals';
import { systemClock } from '../../core/clock.ts';
import { type LogRecord } from '../../core/kafka/log-reader.ts';
import { silentLogger } from '../../core/logger.ts';
import { createMetrics } from '../../core/metrics.ts';
import { createQueryApiMetrics } from '../../query-api/metrics.ts';
import { type LeafChange, type StateListener } from '../../query-api/state-feed.ts';
import { StateCopy } from '../../query-api/state-copy.ts';
import { encodeFrame } from '../../schemas/frame.ts';
import { leafCodec } from '../../schemas/leaf.ts';
import { emptyMarker, markerCodec } from '../../schemas/marker.ts';
import { compilePattern } from '../../schemas/path-pattern.ts';
import { rootPath } from '../../schemas/path.ts';
import { encodeHeader } from '../../schemas/position.ts';
import { decodeTypedValue, encodeTypedValue } from '../../schemas/value.ts';

function createCopy() {
  const metrics = createMetrics();
  const own = createQueryApiMetrics(metrics, { leaves: () => 0, stalenessMs: () => 0, slotsCaughtUp: () => 0 });
  const copy = new StateCopy({
    slots: 2,
    resumeWindowMs: 600_000,
    clock: systemClock,
    logger: silentLogger,
    metrics: own,
  });
  const count = async (line: string) => (await metrics.registry.metrics()).includes(line);
  return { copy, count };
}

let offset = 0n;
function record(key: string, seq: bigint, value: Buffer | null, more = false): LogRecord {
  offset += 1n;
  const header = encodeHeader({ slot: 1, epoch: 5n, seq, kind: 'data', rpc: 0, more, receivedAtNs: 1n });
  return { offset, timestampMs: 1, key: Buffer.from(key), value, header };
}
function leafRecord(
  device: string,
  path: string,
  seq: bigint,
  value: bigint,
  more = false,
  atomicRoot = '',
): LogRecord {
  const leaf = {
    device,
    origin: 'openconfig',
    path,
    value: encodeTypedValue({ kind: 'uint', value }),
    timestampNs: 3n,
    atomicRoot,
    sampled: true,
  };
  return record(`${device}|openconfig:${path}`, seq, encodeFrame(7, leafCodec.encode(leaf)), more);
}
const batch = (records: LogRecord[]) => ({
  partition: 1,
  records,
  nextOffset: offset + 1n,
  highWatermark: offset + 1n,
});
const pathsOf = (copy: StateCopy) => copy.store.find('d', compilePattern(rootPath), '/').map((leaf) => leaf.path);

test('leaves, tombstones and markers of a batch are applied, and count', async () => {
  const { copy, count } = createCopy();
  const marker = encodeFrame(8, markerCodec.encode({ ...emptyMarker('synced'), lagMs: 4 }));
  copy.apply(
    batch([
      leafRecord('d', '/a', 1n, 1n),
      leafRecord('d', '/b', 2n, 1n),
      record('d|openconfig:/a', 3n, null),
      record('|slot', 3n, marker),
    ]),
  );
  expect(pathsOf(copy)).toEqual(['/b']);
  expect(copy.complete(1)).toEqual({ slot: 1, epoch: 5n, seq: 3n });
  expect(copy.complete(0)).toBeNull();
  expect(await count('holdfast_query_api_records_applied_total 4')).toBe(true);
});

test('a record that cannot be read is counted and left out, the rest counts (R2)', async () => {
  const { copy, count } = createCopy();
  copy.apply(
    batch([
      { ...leafRecord('d', '/a', 1n, 1n), header: null },
      { ...leafRecord('d', '/b', 1n, 1n), header: Buffer.alloc(3) },
      record('d|openconfig:/c', 1n, Buffer.from('no frame')),
      record('d|openconfig:/d', 1n, encodeFrame(7, Buffer.from([0xff, 0xff]))),
      record('no bar', 1n, null),
      record('d|no origin', 1n, leafRecord('d', '/x', 1n, 1n).value),
      leafRecord('d', '/e', 2n, 1n),
    ]),
  );
  expect(pathsOf(copy)).toEqual(['/e']);
  expect(await count('holdfast_query_api_records_discarded_total{reason="malformed"} 6')).toBe(true);
});

test('a record below the position of its key is counted as superseded (L1)', async () => {
  const { copy, count } = createCopy();
  copy.apply(batch([leafRecord('d', '/a', 5n, 1n), leafRecord('d', '/a', 4n, 2n)]));
  expect(copy.store.find('d', compilePattern(rootPath), '/')[0]!.seq).toBe(5n);
  expect(await count('holdfast_query_api_records_discarded_total{reason="superseded"} 1')).toBe(true);
});

test('who waits for a position wakes when it is applied, and not before', async () => {
  const { copy } = createCopy();
  const { signal } = new AbortController();
  const reached = copy.reached([{ slot: 1, epoch: 5n, seq: 2n }], 2_000, signal);
  copy.apply(batch([leafRecord('d', '/a', 2n, 1n, true)]));
  expect(await copy.reached([{ slot: 1, epoch: 5n, seq: 2n }], 0, signal)).toBe(false);
  copy.apply(batch([leafRecord('d', '/b', 2n, 1n)]));
  expect(await reached).toBe(true);
  expect(await copy.reached([{ slot: 1, epoch: 9n, seq: 1n }], 10, signal)).toBe(false);
  const gone = new AbortController();
  const abandoned = copy.reached([{ slot: 1, epoch: 9n, seq: 1n }], 2_000, gone.signal);
  gone.abort(new Error('the client has gone'));
  await expect(abandoned).rejects.toThrow('the client has gone');
});

/** Everything that a listener hears, in order. */
function heardOf(copy: StateCopy, slots?: readonly number[]) {
  const heard: unknown[] = [];
  const listener: StateListener = {
    onChanges: (slot, changes, through) =>
      heard.push([slot, changes.map(({ key, seq, leaf }) => [key, Number(seq), leaf !== null]), Number(through.seq)]),
    onReset: (slot) => heard.push(['reset', slot]),
  };
  return { heard, leave: copy.listen(listener, slots) };
}

test('a listener hears a batch in the turn in which it is applied, in log order, after the store has it (F1)', () => {
  const { copy } = createCopy();
  const seen: number[] = [];
  copy.listen({ onChanges: () => seen.push(copy.store.size), onReset: () => undefined });
  const { heard, leave } = heardOf(copy);
  const others = heardOf(copy, [0]);
  copy.apply(
    batch([leafRecord('d', '/a', 1n, 1n), leafRecord('d', '/b', 2n, 1n), record('d|openconfig:/a', 3n, null)]),
  );
  expect(heard).toEqual([[1, [['openconfig:/a', 1, true], ['openconfig:/b', 2, true], ['openconfig:/a', 3, false]], 3]]); // prettier-ignore
  expect(seen).toEqual([1]);
  copy.apply(batch([record('|slot', 4n, encodeFrame(8, markerCodec.encode(emptyMarker('owner'))))]));
  expect(heard.slice(1)).toEqual([[1, [], 4]]);
  leave();
  copy.apply(batch([leafRecord('d', '/a', 5n, 1n)]));
  expect(heard).toHaveLength(2);
  expect(others.heard).toEqual([]);
});

test('what changes nothing is no change: superseded, held already, a delete of what is not there (F2)', () => {
  const { copy } = createCopy();
  copy.apply(batch([leafRecord('d', '/b', 4n, 1n)]));
  const { heard } = heardOf(copy);
  copy.apply(batch([leafRecord('d', '/a', 5n, 1n), record('d|openconfig:/b', 5n, null)]));
  copy.apply(
    batch([leafRecord('d', '/a', 5n, 1n), record('d|openconfig:/b', 5n, null), leafRecord('d', '/a', 4n, 1n)]),
  );
  copy.apply(batch([record('d|openconfig:/c', 5n, null)]));
  expect(heard).toEqual([
    [
      1,
      [
        ['openconfig:/a', 5, true],
        ['openconfig:/b', 5, false],
      ],
      5,
    ],
  ]);
});

test('no listener hears half of a position, also one that begins to listen in the middle of it (F3, T1)', () => {
  const { copy } = createCopy();
  const { heard } = heardOf(copy);
  copy.apply(batch([leafRecord('d', '/a', 1n, 1n), leafRecord('d', '/b', 2n, 1n, true)]));
  expect(heard).toEqual([[1, [['openconfig:/a', 1, true]], 1]]);
  const late = heardOf(copy);
  copy.apply(batch([leafRecord('d', '/c', 2n, 1n, true)]));
  expect([heard.length, late.heard]).toEqual([1, []]);
  copy.apply(batch([leafRecord('d', '/d', 2n, 1n), leafRecord('d', '/a', 3n, 1n)]));
  const rest = [1, [['openconfig:/b', 2, true], ['openconfig:/c', 2, true], ['openconfig:/d', 2, true], ['openconfig:/a', 3, true]], 3]; // prettier-ignore
  expect(heard[1]).toEqual(rest);
  expect(late.heard).toEqual([rest]);
});

test('the change keeps what its record said, whatever the store holds later', () => {
  const { copy } = createCopy();
  const kept: LeafChange[] = [];
  copy.listen({ onChanges: (_slot, changes) => kept.push(...changes), onReset: () => undefined });
  const first = leafRecord('d', '/a', 1n, 17n);
  copy.apply(batch([first, leafRecord('d', '/a', 2n, 18n)]));
  first.value!.fill(0xff); // the fetch that brought it is somebody else's memory by now
  expect(kept[0]).toMatchObject({ slot: 1, device: 'd', timestampNs: 3n, epoch: 5n, seq: 1n });
  expect(decodeTypedValue(kept[0]!.leaf!.value)).toEqual({ kind: 'uint', value: 17n });
  expect(kept[0]!.leaf).toMatchObject({ path: '/a', origin: 'openconfig', sampled: true, elems: [{ name: 'a' }] });
});

test('a change says what the leaf was before, if it was in an atomic group', () => {
  const { copy } = createCopy();
  copy.loaded(1);
  const heard: LeafChange[] = [];
  copy.listen({ onChanges: (_slot, changes) => heard.push(...changes), onReset: () => undefined });
  copy.apply(
    batch([
      leafRecord('d', '/a/b', 1n, 1n, false, '/a'),
      leafRecord('d', '/a/b', 2n, 2n),
      leafRecord('d', '/a/b', 3n, 3n),
      leafRecord('d', '/a/b', 4n, 4n, false, '/a'),
      record('d|openconfig:/a/b', 5n, null),
      leafRecord('d', '/a/b', 6n, 4n),
    ]),
  );
  const inGroup = { atomicRoot: '/a', timestampNs: 3n };
  expect(heard.map(({ formerly }) => formerly)).toEqual([null, inGroup, null, null, inGroup, null]);
});

test('a slot that is forgotten is said to be, and is read anew', () => {
  const { copy } = createCopy();
  copy.apply(batch([leafRecord('d', '/a', 1n, 1n, true)]));
  const { heard } = heardOf(copy);
  copy.reset(1);
  expect([copy.store.size, copy.complete(1), heard]).toEqual([0, null, [['reset', 1]]]);
  copy.apply(batch([leafRecord('d', '/b', 1n, 1n)]));
  expect(heard[1]).toEqual([1, [['openconfig:/b', 1, true]], 1]);
});

test('twenty thousand leaf records take a small part of a second', () => {
  const { copy } = createCopy();
  const records = Array.from({ length: 20_000 }, (_, n) =>
    leafRecord(
      'd',
      `/interfaces/interface[name=et-0/0/${n % 500}]/state/counters/in-octets`,
      BigInt(n + 1),
      BigInt(n) << 30n,
    ),
  );
  copy.apply(batch(records.slice(0, 10_000)));
  const startedMs = performance.now();
  copy.apply(batch(records));
  // The aim is 250 ms of a core for a second's worth; the bound leaves room for a busy machine.
  expect(performance.now() - startedMs).toBeLessThan(1_000);
});

test('a slot that was restored goes on where it was saved, and is not fresh before it has heard of a marker', () => {
  const { copy } = createCopy();
  const marker = encodeFrame(8, markerCodec.encode({ ...emptyMarker('synced'), lagMs: 4 }));
  expect(copy.saved(1)).toBeNull();
  copy.apply(batch([leafRecord('d', '/a', 1n, 1n), leafRecord('d', '/b', 2n, 1n), record('|slot', 3n, marker)]));
  expect(copy.saved(1)).toBeNull(); // not read to its end
  copy.loaded(1);
  const place = copy.saved(1)!;
  expect(place).toMatchObject({ nextOffset: offset + 1n, epoch: 5n, seq: 3n, marker: { lagMs: 4, writtenAtMs: 1 } });
  copy.apply(batch([leafRecord('d', '/a', 4n, 2n, true)]));
  expect(copy.saved(1)).toBeNull(); // half of a position
  const other = createCopy().copy;
  other.restore(1, place);
  expect([other.complete(1), other.saved(1), other.freshness(1).kind]).toEqual([
    { slot: 1, epoch: 5n, seq: 3n },
    null,
    'incomplete',
  ]);
  other.loaded(1);
  expect(other.saved(1)).toEqual(place);
  expect(other.freshness(1).kind).toBe('estimated');
  other.apply(batch([leafRecord('d', '/a', 4n, 2n), record('|slot', 4n, marker)]));
  expect([other.complete(1)?.seq, other.freshness(1).kind]).toEqual([4n, 'known']);
  expect(() => other.restore(1, { ...place, index: Buffer.from([9]) })).toThrow('position index');
});
