import { systemClock } from '../../core/clock.ts';
import { HoldfastError } from '../../core/errors.ts';
import { type LogRecord } from '../../core/kafka/log-reader.ts';
import { silentLogger } from '../../core/logger.ts';
import { createMetrics } from '../../core/metrics.ts';
import { plainFacts } from '../../replicator/explode.ts';
import { ReplicatorMetrics } from '../../replicator/metrics.ts';
import { type PartitionReader, SlotWorker } from '../../replicator/slot-worker.ts';
import { StateWriter } from '../../replicator/state-writer.ts';
import { framePrefix } from '../../schemas/frame.ts';
import { decodeHeader, type Position } from '../../schemas/position.ts';
import { leafSchemaId, markerSchemaId, slot, StateLog, TelemetryLog } from './telemetry-log.ts';

/** A reader that hands over what the test puts into the log, when the test says so. */
class ScriptedReader implements PartitionReader {
  readonly lastResponseAtMonotonicMs = null;
  assignedFrom: 'earliest' | bigint | null = null;
  behind = 0n;

  assign(_topic: string, _partition: number, from: 'earliest' | bigint): void {
    this.assignedFrom = from;
  }

  unassign(): void {
    this.assignedFrom = null;
  }

  caughtUp(_topic: string, _partition: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      this.reachEnd = resolve;
    });
  }

  reachEnd = (): void => undefined;

  lag(): bigint | null {
    return this.behind;
  }
}

function setUp(state = new StateLog(), committedOffset = 0n) {
  const readers = { state: new ScriptedReader(), telemetry: new ScriptedReader() };
  const commits: { nextOffset: bigint; applied: Position | null }[] = [];
  const registry = createMetrics();
  const worker = new SlotWorker({
    slot,
    takeover: { fromEpoch: 0n, fromSeq: 0n, committedOffset, applied: null, reason: 'start' },
    topics: { state: 'state', telemetry: 'telemetry' },
    stateReader: readers.state,
    telemetryReader: readers.telemetry,
    writer: new StateWriter({
      slot,
      topic: 'state',
      port: state,
      leafPrefix: framePrefix(leafSchemaId),
      markerPrefix: framePrefix(markerSchemaId),
      groupBytesMax: 1_000_000,
      unackedBytesMax: 1_000_000,
      instance: 'replicator-1',
      incarnation: 'one',
    }),
    commit: (_slot, nextOffset, applied) => {
      commits.push({ nextOffset, applied });
      return Promise.resolve();
    },
    facts: () => plainFacts,
    window: { windowNs: 60_000_000_000n, entriesMax: 100 },
    futureLimitNs: null,
    metrics: new ReplicatorMetrics(registry),
    clock: systemClock,
    logger: silentLogger,
  });
  const read = (records: readonly LogRecord[]) =>
    worker.onTelemetry({
      topic: 'telemetry',
      partition: slot,
      records,
      nextOffset: (records.at(-1)?.offset ?? -1n) + 1n,
      highWatermark: 0n,
    });
  const restore = async () => {
    const started = worker.start();
    const records = state.read();
    worker.onState({ topic: 'state', partition: slot, records, nextOffset: 0n, highWatermark: 0n });
    readers.state.reachEnd();
    await started;
  };
  return { worker, readers, commits, read, restore, state, registry };
}

const markers = (state: StateLog) =>
  state.read().filter(({ key }) => key!.toString() === '|slot').map(({ header }) => decodeHeader(header!).seq); // prettier-ignore

describe('slot worker', () => {
  test('W1 reads telemetry only when state was read to its end, from the committed offset on', async () => {
    const { worker, readers } = setUp(new StateLog(), 7n);
    const started = worker.start();
    expect(readers.state.assignedFrom).toBe('earliest');
    await new Promise((resolve) => setImmediate(resolve));
    expect(readers.telemetry.assignedFrom).toBeNull();
    readers.state.reachEnd();
    await started;
    expect(readers.state.assignedFrom).toBeNull();
    expect(readers.telemetry.assignedFrom).toBe(7n);
    worker.drop();
  });

  test('says how far it is as soon as it has caught up, and behind what it says is everything', async () => {
    const { worker, readers, read, restore, state } = setUp();
    await restore();
    await read(new TelemetryLog().say('leaf-1', { at: 1, updates: [['/a', 1]] }).say('leaf-1', { at: 1 }).records);
    readers.telemetry.reachEnd();
    await new Promise((resolve) => setImmediate(resolve));
    expect(state.batches).toHaveLength(2);
    expect(markers(state)).toEqual([2n]);
    worker.drop();
  });

  test('W2 commits what is applied, but never past an unfinished resync or a delete within the window', async () => {
    const { worker, commits, read, restore } = setUp();
    await restore();
    const log = new TelemetryLog().say('leaf-1', { at: 1, updates: [['/a', 1]] }).say('leaf-1', { at: 2 });
    await read(log.records);
    await worker.commit();
    log.open('leaf-1', ['/a']).say('leaf-1', { at: 3, updates: [['/a', 1]] }); // opened at 2
    await read(log.records.slice(2));
    await worker.commit();
    log.say('leaf-1', { at: 4, deletes: ['/b'] }).marker('synced', 'leaf-1'); // deleted at 4
    await read(log.records.slice(4));
    await worker.commit();
    log.receivedAtNs += 60_000_000_000n;
    await read(log.say('leaf-1', { at: 5 }).records.slice(6));
    await worker.commit();
    await worker.commit(); // nothing new
    expect(commits.map(({ nextOffset }) => nextOffset)).toEqual([2n, 4n, 7n]);
    expect(commits.at(-1)?.applied).toEqual({ slot, epoch: 100n, seq: 7n });
    worker.drop();
  });

  test('a release stops reading, says how far it came and commits', async () => {
    const { worker, readers, commits, read, restore, state } = setUp();
    await restore();
    const { records } = new TelemetryLog().say('leaf-1', { at: 1, updates: [['/a', 1]] });
    await read(records);
    await worker.release(new AbortController().signal);
    expect(readers.telemetry.assignedFrom).toBeNull();
    expect(markers(state)).toEqual([1n]);
    expect(commits.map(({ nextOffset }) => nextOffset)).toEqual([1n]);
    const batches = state.batches.length;
    await read(records); // what still comes is not for us
    worker.tick();
    expect(state.batches).toHaveLength(batches);
  });

  test('a slot that is lost while restoring, or released, goes quietly', async () => {
    const lost = setUp();
    const started = lost.worker.start();
    lost.worker.drop();
    await started;
    expect(lost.readers.telemetry.assignedFrom).toBeNull();
    const released = setUp();
    const starting = released.worker.start();
    await released.worker.release(new AbortController().signal);
    await starting;
    expect(released.commits).toEqual([]);
  });

  test('a writer that takes no more ends the work without ending the process', async () => {
    const { worker, readers, read, restore, state } = setUp();
    await restore();
    state.append = () => {
      throw new HoldfastError('FENCED', 'another owner');
    };
    await read(new TelemetryLog().say('leaf-1', { at: 1, updates: [['/a', 1]] }).records);
    expect(readers.telemetry.assignedFrom).toBeNull();
    await expect(worker.commit()).resolves.toBeUndefined();
  });

  test('counts what it did and discarded', async () => {
    const { worker, read, restore, registry } = setUp();
    await restore();
    const log = new TelemetryLog().say('leaf-1', { at: 1, updates: [['/a', 1]] });
    await read(log.say('leaf-1', { at: 1, updates: [['/a', 1]] }).say('leaf-1', { at: 2, deletes: ['/a', ''] }).records); // prettier-ignore
    worker.tick();
    const text = await registry.registry.metrics();
    for (const line of [
      'holdfast_replicator_leaves_written_total 1',
      'holdfast_replicator_updates_discarded_total{reason="duplicate"} 1',
      'holdfast_replicator_tombstones_written_total{cause="delete"} 1',
      'holdfast_replicator_oddities_total{kind="root-delete"} 1',
      'holdfast_replicator_records_total{outcome="applied"} 3',
    ]) {
      expect(text).toContain(line);
    }
    worker.drop();
  });
});
