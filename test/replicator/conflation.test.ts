import fc from '../support/properties.ts';
import { type WriterRecord } from '../../core/kafka/slot-host.ts';
import { type RecordPoint } from '../../replicator/apply.ts';
import { type Cause, ConflationWindow } from '../../replicator/conflation.ts';
import { DeviceLeaves, type LeafEntry } from '../../replicator/device-leaves.ts';
import { decodeFrame } from '../../schemas/frame.ts';
import { leafCodec } from '../../schemas/leaf.ts';
import { comparePositions, decodeHeader } from '../../schemas/position.ts';
import { referenceState } from './reference-model.ts';
import { arbitraryLog, leavesOf, replicatorOn } from './replicator-life.ts';
import { path, StateLog, uint } from './telemetry-log.ts';

function window(limits: { windowNs?: bigint; changesMax?: number; bytesMax?: number } = {}) {
  const encoded: string[] = [];
  const conflation = new ConflationWindow({
    windowNs: 100n,
    changesMax: 100,
    bytesMax: 100_000,
    ...limits,
    encode: ({ header, timestampMs }: Cause, { key, value, path: text }) => {
      encoded.push(text);
      return { key, value: value && Buffer.from(value), header, timestampMs };
    },
  });
  const leaves = new DeviceLeaves('leaf-1');
  const add = (seq: bigint, ...changed: readonly LeafEntry[]) => {
    const point = pointAt(seq);
    expect(conflation.takes(point, changed)).toBe(true);
    return conflation.add(point, changed, { device: 'leaf-1', header: Buffer.from(String(seq)), timestampMs: 0 });
  };
  /** Changes a leaf as the rules do: the entry is the same, its value is overwritten. */
  const change = (text: string, value: number | null, options: Partial<LeafEntry> = {}): LeafEntry => {
    const entry = leaves.entry('openconfig', path(text).elems);
    if (value === null) leaves.remove(entry);
    else leaves.set(entry, uint(value));
    return Object.assign(entry, { sampled: true, ...options });
  };
  return { conflation, add, change, encoded };
}

const pointAt = (seq: bigint, receivedAtNs = seq): RecordPoint => ({
  kind: 'data',
  rpc: 0,
  epoch: 1n,
  seq,
  receivedAtNs,
  offset: seq,
  ordinal: 1,
});
const described = (records: readonly WriterRecord[]) =>
  records.map(({ key, value, header }) => `${header!.toString()} ${key.toString()} ${value?.toString('hex') ?? '-'}`);
const key = (text: string) => `leaf-1|openconfig:${text}`;
const hex = (value: number) => uint(value).toString('hex');

describe('conflation window', () => {
  test('C1 C2 a sampled value that a later record replaces is left out, under positions of their own', () => {
    const { conflation, add, change } = window();
    expect(add(1n, change('/a', 1), change('/b', 1))).toBe(0);
    expect(add(2n, change('/a', 2))).toBe(1);
    expect(add(3n, change('/a', 3), change('/c', 1))).toBe(1);
    expect(described(conflation.seal())).toEqual([
      `1 ${key('/b')} ${hex(1)}`,
      `3 ${key('/a')} ${hex(3)}`,
      `3 ${key('/c')} ${hex(1)}`,
    ]);
    expect(conflation.isEmpty).toBe(true);
    expect(conflation.seal()).toEqual([]);
  });

  test.each<[string, Partial<LeafEntry>]>([
    ['C2 an on-change value', { sampled: false }],
    ['C2 A10 a leaf of an atomic message', { atomicRoot: '/x' }],
  ])('%s is written as it was, whatever follows', (_what, options) => {
    const { conflation, add, change } = window();
    add(1n, change('/a', 1, options));
    expect(add(2n, change('/a', 2, options))).toBe(0);
    expect(add(3n, change('/a', null, options))).toBe(0);
    expect(described(conflation.seal())).toEqual([
      `1 ${key('/a')} ${hex(1)}`,
      `2 ${key('/a')} ${hex(2)}`,
      `3 ${key('/a')} -`,
    ]);
  });

  test('C2 every tombstone is written, and what comes back after it', () => {
    const { conflation, add, change } = window();
    add(1n, change('/a', 1));
    expect(add(2n, change('/a', null))).toBe(1);
    expect(add(3n, change('/a', 3))).toBe(0);
    expect(add(4n, change('/a', null))).toBe(1);
    expect(described(conflation.seal())).toEqual([`2 ${key('/a')} -`, `4 ${key('/a')} -`]);
  });

  test('C5 what is left out is never encoded', () => {
    const { conflation, add, change, encoded } = window();
    for (let seq = 1; seq <= 50; seq += 1) add(BigInt(seq), change('/a', seq), change('/b', seq));
    expect(encoded).toEqual([]);
    expect(conflation.seal()).toHaveLength(2);
    expect(encoded).toEqual(['/a', '/b']);
  });

  test('C6 what waits keeps its bytes when its leaf changes in a record that the window does not take', () => {
    const { conflation, add, change } = window({ windowNs: 1n });
    add(1n, change('/a', 1));
    const changed = change('/a', 2);
    expect(conflation.takes(pointAt(2n), [changed])).toBe(false);
    expect(described(conflation.seal())).toEqual([`1 ${key('/a')} ${hex(1)}`]);
    add(3n, changed);
    expect(described(conflation.seal())).toEqual([`3 ${key('/a')} ${hex(2)}`]);
    expect(changed.isLent).toBe(false);
  });

  test('C4 it ends with its time, its changes or its bytes; what is too much for an empty one never joins', () => {
    const full = window({ changesMax: 3, bytesMax: 1_000 });
    const [a, b, c, large] = [full.change('/a', 1), full.change('/b', 1), full.change('/c', 1), full.change('/d', 1)];
    large.value = Buffer.alloc(1_000);
    full.add(1n, a, b);
    expect(full.conflation.takes(pointAt(100n), [c])).toBe(true);
    expect(full.conflation.takes(pointAt(101n), [c])).toBe(false);
    expect(full.conflation.takes(pointAt(2n), [b, c])).toBe(false);
    expect(full.conflation.takes(pointAt(2n), [large])).toBe(false);
    full.conflation.seal();
    expect(full.conflation.takes(pointAt(2n), [large])).toBe(false);
    expect(full.conflation.takes(pointAt(2n), [a, b, c])).toBe(true);
  });

  test('control: a window of 0 takes nothing', () => {
    const { conflation, change } = window({ windowNs: 0n });
    expect(conflation.takes(pointAt(1n), [change('/a', 1)])).toBe(false);
  });
});

/** Per key what was written, in order: position, and whether a reader may do without it. */
function historyOf(state: StateLog) {
  const history = new Map<string, { position: string; mustStay: boolean; text: string }[]>();
  for (const { key: name, value, header } of state.read()) {
    const { epoch, seq } = decodeHeader(header!);
    const leaf = value === null ? null : leafCodec.decode(decodeFrame(value).message);
    const mustStay = leaf === null || !leaf.sampled || leaf.atomicRoot !== '';
    const text = leaf === null ? '-' : `${leaf.timestampNs} ${leaf.value.toString('hex')}`;
    const list = history.get(name!.toString()) ?? [];
    history.set(name!.toString(), [...list, { position: `${epoch}:${seq}`, mustStay, text }]);
  }
  return history;
}

describe('conflation of a slot', () => {
  const arbitraryWindow = fc.constantFrom(2, 5, 1_000);

  test('the state after is the state without it, and the counts add up', () => {
    fc.assert(
      fc.property(arbitraryLog, arbitraryWindow, (records, windowRecords) => {
        const state = new StateLog();
        const life = replicatorOn(state, { windowRecords });
        life.apply(records);
        const { changed, coalesced } = life.settle();
        expect(leavesOf(state.read())).toEqual(referenceState(records));
        expect(state.read().length + coalesced).toBe(changed);
      }),
      { numRuns: 500 },
    );
  });

  test('every on-change value, delete and atomic leaf is written once and in order, and nothing but what is written without it', () => {
    fc.assert(
      fc.property(arbitraryLog, arbitraryWindow, (records, windowRecords) => {
        const [plain, conflated] = [new StateLog(), new StateLog()];
        replicatorOn(plain).apply(records);
        const life = replicatorOn(conflated, { windowRecords });
        life.apply(records);
        life.settle();
        const [before, after] = [historyOf(plain), historyOf(conflated)];
        for (const [name, all] of before) {
          const kept = after.get(name) ?? [];
          expect(kept).toEqual(all.filter((one) => kept.some((other) => other.position === one.position)));
          expect(kept.filter(({ mustStay }) => mustStay)).toEqual(all.filter(({ mustStay }) => mustStay));
          expect(kept.at(-1)).toEqual(all.at(-1));
        }
        expect(after.size).toBe(before.size);
      }),
      { numRuns: 500 },
    );
  });

  test('positions never go back in the partition', () => {
    fc.assert(
      fc.property(arbitraryLog, arbitraryWindow, (records, windowRecords) => {
        const state = new StateLog();
        const life = replicatorOn(state, { windowRecords });
        life.apply(records);
        life.settle();
        const positions = state.read().map(({ header }) => decodeHeader(header!));
        for (const [index, position] of positions.slice(1).entries())
          expect(comparePositions(positions[index]!, position)).toBeLessThanOrEqual(0);
      }),
      { numRuns: 300 },
    );
  });

  test('control: it does leave something out, and with a window of 0 everything is written', () => {
    const property = (windowRecords: number) =>
      fc.property(arbitraryLog, (records) => {
        const life = replicatorOn(new StateLog(), { windowRecords });
        life.apply(records);
        expect(life.settle().coalesced).toBe(0);
      });
    expect(fc.check(property(1_000), { numRuns: 1_000, seed: 1, endOnFailure: true }).failed).toBe(true);
    expect(fc.check(property(0), { numRuns: 200, seed: 1 }).failed).toBe(false);
  });
});
