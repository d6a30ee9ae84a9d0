import { systemClock } from '../../core/clock.ts';
import { HoldfastError } from '../../core/errors.ts';
import { type LogRecord } from '../../core/kafka/log-reader.ts';
import { silentLogger } from '../../core/logger.ts';
import { createMetrics } from '../../core/metrics.ts';
import { plainFacts } from '../../replicator/explode.ts';
import { ReplicatorMetrics } from '../../replicator/metrics.ts';
import { type PartitionReader, SlotWorker } from '../../replicator/slot-worker.ts';
import { StateWriter, unknownLagMs } from '../../replicator/state-writer.ts';
import { decodeFrame, framePrefix } from '../../schemas/frame.ts';
import { markerCodec } from '../../schemas/marker.ts';
import { decodeHeader, type Position } from '../../schemas/position.ts';
import { referenceState } from './reference-model.ts';
import { leavesOf } from './replicator-life.ts';
import { leafSchemaId, markerSchemaId, slot, StateLog, TelemetryLog } from './telemetry-log.ts';

/** A reader that hands over what the test puts into the log, when the test says so. */
class ScriptedReader implements PartitionReader {
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

  /** Just now, unless a test says otherwise. */
  answeredAtMonotonicMs = (): number | null => systemClock.monotonicMs();
}

function setUp(state = new StateLog(), committedOffset = 0n, conflateWindowNs = 0n) {
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
      conflateWindowNs,
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
  /** `more`: records that follow in the log. */
  const read = (records: readonly LogRecord[], more = 0n) => {
    const nextOffset = (records.at(-1)?.offset ?? -1n) + 1n;
    const highWatermark = nextOffset + more;
    return worker.onTelemetry({ topic: 'telemetry', partition: slot, records, nextOffset, highWatermark });
  };
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

  describe('lag', () => {
    const lags = (state: StateLog) =>
      state.read().filter(({ key }) => key!.toString() === '|slot').map(({ value }) => markerCodec.decode(decodeFrame(value!).message).lagMs); // prettier-ignore
    const seconds = async (registry: ReturnType<typeof createMetrics>) =>
      /^holdfast_replicator_lag_seconds{slot="3"} (.*)$/m.exec(await registry.registry.metrics())?.[1];

    test('while restoring, and behind with nothing applied yet, no marker is written: the day said at takeover stands', async () => {
      const { worker, readers, restore, state, registry } = setUp();
      readers.telemetry.behind = 7n;
      worker.tick();
      expect(worker.progress()).toBeNull();
      await restore();
      worker.tick();
      expect(state.batches).toEqual([]);
      expect(await seconds(registry)).toBeUndefined();
      expect(worker.progress()?.lagMs).toBe(unknownLagMs);
      worker.drop();
    });

    test('it is said by the marker, the metric and the instance alike, and goes with the slot', async () => {
      const { worker, readers, read, restore, state, registry } = setUp();
      await restore();
      const log = new TelemetryLog();
      log.receivedAtNs = systemClock.nowNs() - 5_000_000_000n;
      await read(log.say('leaf-1', { at: 1, updates: [['/a', 1]] }).records, 3n);
      readers.telemetry.behind = 3n;
      worker.tick();
      const [lagMs] = lags(state);
      expect(lagMs).toBeGreaterThanOrEqual(4_999);
      expect(lagMs).toBeLessThan(60_000);
      expect(await seconds(registry)).toBe(String(lagMs! / 1_000));
      expect(worker.progress()?.lagMs).toBe(lagMs);
      worker.drop();
      expect(await seconds(registry)).toBeUndefined();
    });

    test('with nothing new it is 0, and with Kafka away it grows', async () => {
      const { worker, readers, restore, state } = setUp();
      await restore();
      worker.tick();
      readers.telemetry.answeredAtMonotonicMs = () => systemClock.monotonicMs() - 9_000;
      worker.tick();
      const [quiet, away] = lags(state);
      expect(quiet).toBe(0);
      expect(away).toBeGreaterThanOrEqual(9_000);
      worker.drop();
    });
  });

  describe('conflation under pressure', () => {
    const windowNs = 250_000_000n;
    /** A sampled counter with five values, between them a state that is told on change. */
    const talk = (receivedAtNs = 1_000_000_000n) => {
      const log = new TelemetryLog();
      log.receivedAtNs = receivedAtNs;
      log.open('leaf-1', ['/a'], { mode: 'sample' }).marker('synced', 'leaf-1');
      for (let at = 1; at <= 5; at += 1) log.say('leaf-1', { at, updates: [['/a/counter', at], ['/b', at]] }); // prettier-ignore
      return log;
    };
    const keys = (state: StateLog) => state.read().map(({ key }) => key!.toString().replace('leaf-1|openconfig:', ''));

    test('W4 while the slot is behind a window is one batch, and a sampled value that it replaces is counted, not written', async () => {
      const { worker, read, restore, state, registry } = setUp(new StateLog(), 0n, windowNs);
      await restore();
      await read(talk().records); // received in 1970
      expect(state.batches).toHaveLength(1);
      expect(keys(state)).toEqual(['/b', '/b', '/b', '/b', '/a/counter', '/b']);
      expect(state.read().map(({ header }) => decodeHeader(header!).seq)).toEqual([3n, 4n, 5n, 6n, 7n, 7n]);
      worker.tick();
      const text = await registry.registry.metrics();
      expect(text).toContain('holdfast_replicator_leaves_written_total 6');
      expect(text).toContain('holdfast_replicator_updates_discarded_total{reason="coalesced"} 4');
      worker.drop();
    });

    test.each([
      ['control: switched off, everything is written', 0n, 1_000_000_000n],
      ['control: a slot that keeps up writes everything', windowNs, systemClock.nowNs()],
    ])('%s', async (_what, conflateWindowNs, receivedAtNs) => {
      const { worker, read, restore, state } = setUp(new StateLog(), 0n, conflateWindowNs);
      await restore();
      await read(talk(receivedAtNs).records);
      expect(state.batches.map((batch) => batch.length)).toEqual([2, 2, 2, 2, 2]);
      worker.drop();
    });

    test('a writer with no room is pressure too: one window more is collected, then reading waits', async () => {
      const { worker, read, restore, state } = setUp(new StateLog(), 0n, windowNs);
      await restore();
      state.unackedBytes = 1_000_001;
      const log = talk(systemClock.nowNs());
      await read(log.records, 1n);
      expect(state.batches).toEqual([]);
      log.receivedAtNs += windowNs;
      const { records } = log.say('leaf-1', { at: 6, updates: [['/a/counter', 6]] });
      await read(records.slice(-1), 1n);
      expect(keys(state)).toEqual(['/b', '/b', '/b', '/b', '/a/counter', '/b']);
      worker.drop();
    });

    test('W4 what is collected is on its way before a marker or a commit says that it is complete', async () => {
      const { worker, commits, readers, read, restore, state } = setUp(new StateLog(), 0n, windowNs);
      await restore();
      await read(talk().records.slice(0, 4), 3n);
      expect(state.batches).toEqual([]);
      readers.telemetry.behind = 3n;
      worker.tick();
      expect(keys(state)).toEqual(['/b', '/a/counter', '/b', '|slot']);
      await read(talk().records.slice(4, 6), 1n);
      expect(state.batches).toHaveLength(2);
      await worker.commit();
      expect(keys(state).slice(4)).toEqual(['/b', '/a/counter', '/b']);
      expect(commits).toEqual([{ nextOffset: 6n, applied: { slot, epoch: 100n, seq: 6n } }]);
      worker.drop();
    });

    test('W2 killed in the middle of a window it wrote nothing of it, and its successor ends with the truth', async () => {
      const state = new StateLog();
      const first = setUp(state, 0n, windowNs);
      await first.restore();
      const log = talk();
      await first.read(log.records.slice(0, 3)); // to the end of the log
      await first.read(log.records.slice(3, 6), 1n);
      expect(state.batches).toHaveLength(1);
      first.worker.drop();
      const second = setUp(state, 0n, windowNs);
      await second.restore();
      await second.read(log.records);
      expect(leavesOf(state.read())).toEqual(referenceState(log.records));
      expect(keys(state)).toEqual(['/a/counter', '/b', '/b', '/b', '/b', '/a/counter', '/b']);
      second.worker.drop();
    });
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
