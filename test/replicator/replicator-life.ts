import fc from '../support/properties.ts';
import { type LogRecord } from '../../core/kafka/log-reader.ts';
import { plainFacts } from '../../replicator/explode.ts';
import { StateRestore } from '../../replicator/restore.ts';
import { SlotReducer } from '../../replicator/slot-reducer.ts';
import { SlotTable } from '../../replicator/slot-table.ts';
import { StateWriter } from '../../replicator/state-writer.ts';
import { createTally } from '../../replicator/tally.ts';
import { decodeFrame, framePrefix } from '../../schemas/frame.ts';
import { leafCodec } from '../../schemas/leaf.ts';
import { leafSchemaId, markerSchemaId, slot, type StateLog, TelemetryLog } from './telemetry-log.ts';

export const windowNs = 3_600_000_000_000n;

/** Off only in control runs, to see that a test notices. */
interface LifeOptions {
  readonly groupBytesMax?: number;
  /** Skips what `state` says is applied. */
  readonly resumes?: boolean;
  readonly sweeps?: boolean;
  /** Every record is applied as if the slot were behind, and windows hold so many records; 0: no conflation. */
  readonly windowRecords?: number;
}

/** One replicator on a state log: restores from it, applies telemetry, writes to it. */
export function replicatorOn(state: StateLog, options: LifeOptions = {}) {
  const { groupBytesMax = 1_000_000, resumes = true, sweeps = true, windowRecords = 0 } = options;
  const table = new SlotTable({ windowNs, entriesMax: 1_000 });
  const restore = new StateRestore();
  for (const record of state.read()) restore.add(record);
  restore.fill(table, Infinity);
  const { position, heal } = restore;
  const tally = createTally();
  const reducer = new SlotReducer({
    slot,
    table,
    facts: () => plainFacts,
    tally,
    futureLimitNs: null,
    restored: resumes ? position : null,
    sweeps,
  });
  const writer = new StateWriter({
    slot,
    topic: 'state',
    port: state,
    leafPrefix: framePrefix(leafSchemaId),
    markerPrefix: framePrefix(markerSchemaId),
    groupBytesMax,
    unackedBytesMax: 1_000_000,
    conflateWindowNs: BigInt(windowRecords) * 1_000_000n, // a record each ms
    instance: 'replicator-1',
    incarnation: 'one',
  });
  writer.heal(heal);
  let changed = 0;
  let coalesced = 0;
  const apply = (records: readonly LogRecord[]) => {
    for (const record of records) {
      const applied = reducer.apply(record);
      if (applied === null) continue;
      changed += applied.changed.length;
      coalesced += writer.collect(applied.point, applied.changed, record.key!.toString());
    }
  };
  const settle = () => {
    writer.settle();
    return { changed, coalesced };
  };
  return { apply, settle, reducer, tally, table, heal };
}

/** The leaves a reader of `state` has: per key the last record. */
export function leavesOf(records: readonly LogRecord[]): Map<string, string> {
  const leaves = new Map<string, string>();
  for (const { key, value } of records) {
    if (key!.toString() === '|slot') continue;
    if (value === null) leaves.delete(key!.toString());
    else {
      const leaf = leafCodec.decode(decodeFrame(value).message);
      leaves.set(key!.toString(), `${leaf.timestampNs} ${leaf.value.toString('hex')}`);
    }
  }
  return leaves;
}

// A small world, so that everything meets everything: two devices, few paths, few times, few values.
const pathTexts = ['/a', '/a/b', '/a/b/c', '/a/x[k=1]', '/a/x[k=1]/v', '/a/x[k=2]/v', '/a/x', '/d', 'cli:/a/b'];
const wide = [...pathTexts, '/a/x[k=*]/v', '/a/.../v', '/*/b', '/'];
const arbitraryUpdate = fc.tuple(fc.constantFrom(...pathTexts), fc.integer({ min: 1, max: 3 }));
const arbitrarySaid = fc.record({
  at: fc.integer({ min: 1, max: 9 }),
  prefix: fc.constantFrom(undefined, undefined, '/a', '/a/x[k=1]', 'cli:/'),
  updates: fc.array(arbitraryUpdate, { maxLength: 3 }),
  deletes: fc.oneof(
    { weight: 3, arbitrary: fc.constant([]) },
    { weight: 2, arbitrary: fc.array(fc.constantFrom(...wide), { maxLength: 2 }) },
  ),
  atomic: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
});
const arbitraryStep = fc.oneof(
  { weight: 12, arbitrary: fc.record({ kind: fc.constant('say' as const), said: arbitrarySaid, rpc: fc.nat(1) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('open' as const),
      paths: fc.uniqueArray(fc.constantFrom('/a', '/a/x', '/a/b', '/', 'cli:/a'), { minLength: 1, maxLength: 2 }),
      rpc: fc.nat(1),
      updatesOnly: fc.boolean(),
      mode: fc.constantFrom('sample' as const, 'on-change' as const),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('synced' as const), rpc: fc.nat(1) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('closed' as const), reason: fc.constantFrom('ended', 'removed') }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('gap' as const, 'owner' as const, 'lose' as const, 'again' as const),
    }),
  },
);
export const arbitraryLog = fc
  .array(fc.tuple(fc.constantFrom('leaf-1', 'leaf-2'), arbitraryStep), { maxLength: 40 })
  .map((steps) => {
    const log = new TelemetryLog();
    for (const [device, step] of steps) {
      if (step.kind === 'say') log.say(device, omitUndefined(step.said), step.rpc);
      else if (step.kind === 'open') log.open(device, step.paths, step);
      else if (step.kind === 'synced') log.marker('synced', device, {}, step.rpc);
      else if (step.kind === 'closed') log.marker('closed', device, { reason: step.reason });
      else if (step.kind === 'gap') log.marker('gap', device, { reason: 'malformed' });
      else if (step.kind === 'owner') log.owner();
      else if (step.kind === 'lose') log.lose(1n);
      else if (log.records.length > 0) log.records.push({ ...log.records.at(-1)!, offset: BigInt(log.records.length) });
    }
    return log.records;
  });

function omitUndefined<T extends { prefix: string | undefined }>(said: T) {
  const { prefix, ...rest } = said;
  return prefix === undefined ? rest : { ...rest, prefix };
}
