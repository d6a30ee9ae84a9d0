import fc from '../support/properties.ts';
import { plainFacts } from '../../replicator/explode.ts';
import { SlotReducer } from '../../replicator/slot-reducer.ts';
import { SlotTable } from '../../replicator/slot-table.ts';
import { createTally } from '../../replicator/tally.ts';
import { referenceState } from './reference-model.ts';
import { arbitraryLog, leavesOf, replicatorOn, windowNs } from './replicator-life.ts';
import { slot, StateLog, TelemetryLog } from './telemetry-log.ts';

describe('slot reducer', () => {
  test('agrees with the reference model on random telemetry', () => {
    fc.assert(
      fc.property(arbitraryLog, (records) => {
        const state = new StateLog();
        replicatorOn(state).apply(records);
        expect(leavesOf(state.read())).toEqual(referenceState(records));
      }),
      { numRuns: 1_500 },
    );
  });

  test('writes a key at most once per telemetry record, and all of a record in one batch (A12)', () => {
    fc.assert(
      fc.property(arbitraryLog, (records) => {
        const state = new StateLog();
        replicatorOn(state).apply(records);
        const headers = state.batches.map((batch) => new Set(batch.map((one) => one.header!.toString('hex'))));
        for (const [index, batch] of state.batches.entries()) {
          expect(new Set(batch.map((one) => one.key.toString())).size).toBe(batch.length);
          expect(headers[index]!.size).toBe(1);
        }
        expect(new Set(headers.map((set) => [...set][0])).size).toBe(headers.length);
      }),
      { numRuns: 300 },
    );
  });

  test('killed anywhere and started again at the committed offset, it ends in the same state', () => {
    const arbitraryCrash = fc.record({
      /** How much of the log the first life read, and how much of what it wrote survived. */
      read: fc.nat(40),
      survived: fc.double({ min: 0, max: 1, noNaN: true }),
      /** When the last commit before the crash was made. */
      committed: fc.double({ min: 0, max: 1, noNaN: true }),
      groupBytesMax: fc.constantFrom(1, 1_000_000),
      /** How much is conflated at once. */
      windowRecords: fc.constantFrom(0, 3, 100),
    });
    fc.assert(
      fc.property(arbitraryLog, fc.array(arbitraryCrash, { minLength: 1, maxLength: 3 }), (records, crashes) => {
        const state = new StateLog();
        let from = 0;
        for (const { read, survived, committed, groupBytesMax, windowRecords } of crashes) {
          const life = replicatorOn(state, { groupBytesMax, windowRecords });
          const before = state.batches.length;
          const end = Math.min(records.length, from + read);
          const commitAt = from + Math.floor((end - from) * committed);
          life.apply(records.slice(from, commitAt));
          life.settle();
          const acked = state.batches.length; // a commit waits for the acks of what it covers
          const needed = Number(life.reducer.neededFrom() ?? BigInt(commitAt));
          const isAhead = life.reducer.complete !== null && commitAt > from;
          life.apply(records.slice(commitAt, end)); // what is still collected dies with it
          if (isAhead) from = Math.max(from, Math.min(needed, commitAt));
          const floor = isAhead ? acked : before;
          state.batches.length = floor + Math.floor((state.batches.length - floor) * survived);
        }
        replicatorOn(state).apply(records.slice(from));
        expect(leavesOf(state.read())).toEqual(referenceState(records));
      }),
      { numRuns: 2_000 },
    );
  });

  test('started again with everything applied, it writes nothing', () => {
    fc.assert(
      fc.property(arbitraryLog, (records) => {
        const state = new StateLog();
        replicatorOn(state).apply(records);
        const batches = state.batches.length;
        replicatorOn(state).apply(records);
        expect(state.batches.slice(batches)).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  test('drops a lower epoch and repeats, counts holes (C8)', () => {
    const log = new TelemetryLog().say('leaf-1', { at: 1, updates: [['/a', 1]] });
    log.owner().say('leaf-1', { at: 2, updates: [['/a', 2]] });
    const zombie = new TelemetryLog().lose(1n).say('leaf-1', { at: 9, updates: [['/a', 9]] }).records;
    const late = new TelemetryLog(101n).lose(4n).say('leaf-1', { at: 3, updates: [['/a', 3]] }).records;
    const state = new StateLog();
    const { apply, reducer } = replicatorOn(state);
    apply([...log.records, ...zombie, ...log.records.slice(-1), ...late]);
    expect(reducer.records).toMatchObject({ applied: 4, oldEpoch: 1, repeated: 1, gaps: 1, missing: 2n });
    expect([...leavesOf(state.read()).values()]).toEqual([expect.stringMatching(/^3 /)]);
  });

  test('a garbage message costs nobody else anything', () => {
    const log = new TelemetryLog()
      .say('leaf-1', { at: 1, updates: [['/a', 1]] })
      .raw('leaf-1', Buffer.from([0x0a, 0xff]));
    log.say('leaf-1', { at: 2, updates: [['/b', 1]] });
    const state = new StateLog();
    const { apply, reducer } = replicatorOn(state);
    apply([...log.records, { ...log.records[0]!, header: Buffer.from('?') }, { ...log.records[0]!, header: null }]);
    expect(reducer.records.malformed).toBe(3);
    expect(leavesOf(state.read()).size).toBe(2);
  });

  test('a record that our own code fails on is skipped and said, and costs nobody else anything (R4)', () => {
    const log = new TelemetryLog();
    for (const device of ['leaf-1', 'poison', 'leaf-2']) log.say(device, { at: 1, updates: [['/a', 1]] });
    const table = new SlotTable({ windowNs, entriesMax: 10 });
    const said: string[] = [];
    const reducer = new SlotReducer({
      slot,
      table,
      facts: (device) => {
        if (device === 'poison') throw new RangeError('a bug');
        return plainFacts;
      },
      tally: createTally(),
      futureLimitNs: null,
      restored: null,
      onDefect: (point, device, thrown) => said.push(`${device} ${point.seq} ${String(thrown)}`),
    });
    for (const record of log.records) reducer.apply(record);
    expect(said).toEqual(['poison 2 RangeError: a bug']);
    expect([table.leafCount, reducer.records.malformed]).toEqual([2, 1]);
  });

  test('an update that is refused for its time still shows that the leaf exists: no sweep takes it (S3)', () => {
    const log = new TelemetryLog().say('leaf-1', { at: 1_000_000_000n, updates: [['/a', 1], ['/b', 1]] }); // prettier-ignore
    log
      .open('leaf-1', ['/'])
      .say('leaf-1', { at: 9_000_000_000_000n, updates: [['/a', 2]] })
      .marker('synced', 'leaf-1');
    const table = new SlotTable({ windowNs, entriesMax: 10 });
    const tally = createTally();
    const reducer = new SlotReducer({ slot, table, facts: () => plainFacts, tally, futureLimitNs: 1n, restored: null });
    for (const record of log.records) reducer.apply(record);
    expect(tally.discarded.future).toBe(1);
    expect(table.device('leaf-1').leaves.all().map((entry) => entry.path)).toEqual(['/a']); // prettier-ignore
  });

  test('what cannot be read during a resync may have been a leaf: nothing is swept', () => {
    const log = new TelemetryLog().say('leaf-1', { at: 1, updates: [['/a', 1]] }).open('leaf-1', ['/a']);
    log.raw('leaf-1', Buffer.from([0x0a, 0xff])).marker('synced', 'leaf-1');
    const state = new StateLog();
    const { apply, tally } = replicatorOn(state);
    apply(log.records);
    expect(leavesOf(state.read()).size).toBe(1);
    expect(tally.odd['sweep-skipped']).toBe(1);
  });

  test('D12 a removed device leaves one tombstone per leaf, and comes back as a new one', () => {
    const log = new TelemetryLog().say('leaf-1', { at: 5, updates: [['/a', 1], ['/b', 1]] }); // prettier-ignore
    log.say('leaf-2', { at: 5, updates: [['/a', 1]] }).marker('closed', 'leaf-1', { reason: 'removed' });
    const state = new StateLog();
    const { apply, tally } = replicatorOn(state);
    apply(log.records);
    expect([...leavesOf(state.read()).keys()]).toEqual(['leaf-2|openconfig:/a']);
    expect(tally.tombstones.removed).toBe(2);
    apply(log.say('leaf-1', { at: 1, updates: [['/a', 7]] }).records.slice(-1));
    expect(leavesOf(state.read()).size).toBe(2);
  });

  test('a late record of a displaced writer is written over again at takeover', () => {
    const log = new TelemetryLog();
    for (const at of [1, 2, 3]) log.say('leaf-1', { at, updates: [['/a', at]] });
    const state = new StateLog();
    replicatorOn(state).apply(log.records);
    state.batches.push(state.batches[0]!); // compaction keeps the last record of a key, whoever wrote it
    expect([...leavesOf(state.read()).values()]).toEqual([expect.stringMatching(/^1 /)]);
    const { heal, apply } = replicatorOn(state);
    apply(log.records);
    expect(heal).toHaveLength(1);
    expect([...leavesOf(state.read()).values()]).toEqual([expect.stringMatching(/^3 /)]);
  });
});
