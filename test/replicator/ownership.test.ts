import { systemClock } from '../../core/clock.ts';
import { deferred } from '../../core/deferred.ts';
import { silentLogger } from '../../core/logger.ts';
import { createMetrics } from '../../core/metrics.ts';
import { type Takeover } from '../../core/kafka/slot-host.ts';
import { plainFacts } from '../../replicator/explode.ts';
import { ReplicatorMetrics } from '../../replicator/metrics.ts';
import { StateHost } from '../../replicator/ownership.ts';
import { type PartitionReader } from '../../replicator/slot-worker.ts';
import { decodeFrame, framePrefix } from '../../schemas/frame.ts';
import { markerCodec } from '../../schemas/marker.ts';
import { decodeHeader } from '../../schemas/position.ts';
import { leafSchemaId, markerSchemaId, slot, StateLog, TelemetryLog } from './telemetry-log.ts';

/** At the end of its log at once. */
class EmptyReader implements PartitionReader {
  answeredAtMonotonicMs = () => null;

  readonly assigned = new Map<number, 'earliest' | bigint>();

  assign(_topic: string, partition: number, from: 'earliest' | bigint): void {
    this.assigned.set(partition, from);
  }

  unassign(_topic: string, partition: number): void {
    this.assigned.delete(partition);
  }

  caughtUp(): Promise<void> {
    return Promise.resolve();
  }

  lag(): bigint | null {
    return 0n;
  }
}

const takeover: Takeover = {
  fromEpoch: 4n,
  fromSeq: 0n,
  committedOffset: 12n,
  applied: { epoch: 100n, seq: 7n },
  reason: 'crash',
};
const never = new AbortController().signal;

function setUp() {
  const readers = { state: new EmptyReader(), telemetry: new EmptyReader() };
  const commits: bigint[] = [];
  const host = new StateHost({
    topics: { state: 'state', telemetry: 'telemetry' },
    leafPrefix: framePrefix(leafSchemaId),
    markerPrefix: framePrefix(markerSchemaId),
    groupBytesMax: 1_000_000,
    unackedBytesMax: 1_000_000,
    conflateWindowNs: 250_000_000n,
    slots: 16,
    instance: 'replicator-1',
    incarnation: 'one',
    stateReader: readers.state,
    telemetryReader: readers.telemetry,
    commit: (_slot, nextOffset) => {
      commits.push(nextOffset);
      return Promise.resolve();
    },
    facts: () => plainFacts,
    window: { windowNs: 1_000n, entriesMax: 10 },
    futureLimitNs: null,
    metrics: new ReplicatorMetrics(createMetrics()),
    clock: systemClock,
    logger: silentLogger,
    onFatal: (error) => {
      throw error;
    },
  });
  return { host, readers, commits };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('a slot of the replicator', () => {
  test('begins with its marker in state, at the position that its predecessor committed', async () => {
    const { host, readers } = setUp();
    const state = new StateLog();
    await host.begin(slot, state, takeover, never);
    const [record] = state.read();
    expect(record?.key?.toString()).toBe('|slot');
    expect(decodeHeader(record!.header!)).toMatchObject({ kind: 'owner', slot, epoch: 100n, seq: 7n });
    expect(markerCodec.decode(decodeFrame(record!.value!).message)).toMatchObject({ kind: 'owner', reason: 'crash' });
    expect(readers.state.assigned.size).toBe(0); // O1: nothing is read before the marker is acked and the slot active
  });

  test('begin waits for the ack, and ends when the lock says so', async () => {
    const { host } = setUp();
    const ack = deferred<undefined>();
    const port = {
      unackedBytes: 0,
      append: () => ({ acked: ack.promise }),
      start: () => ack.promise,
      progress: () => ({ unacked: false, ackedBatches: 0 }),
      stop: () => 0,
    };
    const abort = new AbortController();
    const begun = host.begin(slot, port, takeover, abort.signal);
    abort.abort(new Error('lease over'));
    await expect(begun).rejects.toThrow('lease over');
    await host.drop(slot);
    expect(host.size).toBe(0);
  });

  test('active: restores, follows from the committed offset, reports; released: commits and lets go', async () => {
    const { host, readers, commits } = setUp();
    const state = new StateLog();
    await host.begin(slot, state, takeover, never);
    host.activate(slot);
    await turn();
    expect(host.following).toBe(1);
    expect(readers.telemetry.assigned.get(slot)).toBe(12n);
    const { records } = new TelemetryLog().say('leaf-1', { at: 1, updates: [['/a', 1]] });
    await host.onTelemetry({ topic: 'telemetry', partition: slot, records, nextOffset: 13n, highWatermark: 13n });
    expect(host.progress()).toMatchObject([{ slot, epoch: 100n, seq: 1n }]);
    await expect(host.release(slot, 'moved', never)).resolves.toEqual({ lastSeq: null });
    expect(commits).toEqual([13n]);
    expect(readers.telemetry.assigned.size).toBe(0);
    expect(host.size).toBe(0);
  });

  test('released before it was ever active, dropped twice, batches of a slot that is gone: nothing happens', async () => {
    const { host, commits } = setUp();
    await host.begin(slot, new StateLog(), takeover, never);
    await host.release(slot, 'drain', never);
    host.activate(slot);
    await host.drop(slot);
    await host.drop(slot);
    await host.onTelemetry({ topic: 'telemetry', partition: slot, records: [], nextOffset: 1n, highWatermark: 1n });
    host.onState({ topic: 'state', partition: slot, records: [], nextOffset: 1n, highWatermark: 1n });
    expect(commits).toEqual([]);
  });
});
