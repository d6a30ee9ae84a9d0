/**
 * What one change takes that waits for a slow reader: heap and external bytes per entry, of an SSE stream's queue, of a gNMI
 * stream's outbox, and of both together, which share the change. The changes come as records bring them, 1,000 to a fetch,
 * through the copy of `state`; what the copy itself grows by is measured first, with nobody listening, and taken off.
 * Stated in docs/performance.md and held by `test/integration/stalled-reader.test.ts`.
 * `npx tsx --expose-gc bench/queue-entry.ts [leaves=50000]`
 */
import { systemClock } from '../core/clock.ts';
import { type LogRecord } from '../core/kafka/log-reader.ts';
import { silentLogger } from '../core/logger.ts';
import { createMetrics } from '../core/metrics.ts';
import { type FedChange } from '../query-api/gnmi-hub.ts';
import { GnmiOutbox } from '../query-api/gnmi-outbox.ts';
import { createQueryApiMetrics } from '../query-api/metrics.ts';
import { StateCopy } from '../query-api/state-copy.ts';
import { type LeafChange } from '../query-api/state-feed.ts';
import { StreamQueue } from '../query-api/stream-queue.ts';
import { encodeFrame } from '../schemas/frame.ts';
import { leafCodec } from '../schemas/leaf.ts';
import { encodeHeader } from '../schemas/position.ts';
import { encodeTypedValue } from '../schemas/value.ts';

const leaves = Number(process.argv[2] ?? 50_000);
const leavesPerDevice = 500;
const leavesPerPosition = 20;
const fetchRecords = 1_000;
const epoch = 1_795_246_383_702n;
const startNs = 1_795_246_383_702_000_001n;

const { gc } = globalThis;
if (gc === undefined) throw new Error('start it with --expose-gc');

function bytesNow(): number {
  gc?.();
  gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const metrics = createQueryApiMetrics(createMetrics(), {
  leaves: () => 0,
  stalenessMs: () => 0,
  slotsCaughtUp: () => 0,
});
const copy = new StateCopy({ slots: 1, resumeWindowMs: 600_000, clock: systemClock, logger: silentLogger, metrics });
let offset = 0n;
let seq = 0n;

/** Every leaf once. */
function round(): void {
  for (let first = 0; first < leaves; first += fetchRecords) copy.apply(fetched(first));
}

/** Keys and values are pieces of one buffer, as they are of a Fetch. */
function fetched(first: number) {
  const parts: Buffer[][] = [];
  for (let leaf = first; leaf < Math.min(first + fetchRecords, leaves); leaf += 1) {
    if (leaf % leavesPerPosition === 0) seq += 1n;
    const device = `leaf-${Math.floor(leaf / leavesPerDevice)}.example`;
    const n = leaf % leavesPerDevice;
    const path = `/interfaces/interface[name=et-0/0/${Math.floor(n / 20)}]/state/counters/counter-number-${n % 20}`;
    const value = encodeTypedValue({ kind: 'uint', value: BigInt(leaf) * 1_000_003n + (seq << 20n) });
    const content = {
      device,
      origin: 'openconfig',
      path,
      value,
      timestampNs: startNs + seq,
      atomicRoot: '',
      sampled: true,
    };
    const header = encodeHeader({
      kind: 'data',
      slot: 0,
      rpc: 0,
      epoch,
      seq,
      receivedAtNs: startNs + seq,
      more: false,
    });
    parts.push([Buffer.from(`${device}|openconfig:${path}`), encodeFrame(7, leafCodec.encode(content)), header]);
  }
  const section = Buffer.concat(parts.flat());
  let at = 0;
  const piece = (length: number): Buffer => section.subarray(at, (at += length));
  const records = parts.map(([key, value, header]): LogRecord => {
    const record = {
      offset,
      timestampMs: 1,
      key: piece(key!.length),
      value: piece(value!.length),
      header: piece(header!.length),
    };
    offset += 1n;
    return record;
  });
  return { partition: 0, records, nextOffset: offset, highWatermark: offset };
}

/** What waits after a round, bytes per leaf. */
function measured(take: (changes: readonly LeafChange[]) => void): number {
  const leave = copy.listen({ onChanges: (_slot, changes) => take(changes), onReset: () => undefined });
  const before = bytesNow();
  round();
  const after = bytesNow();
  leave();
  return (after - before - idleBytes) / leaves;
}

for (let n = 0; n < 4; n += 1) round(); // warm: the store is filled, functions are compiled
let idleBytes = 0;
idleBytes = measured(() => undefined) * leaves;

const variants: Record<string, () => void> = {
  'SSE queue': () => {
    const queue = new StreamQueue(leaves);
    report(
      'SSE queue',
      queue,
      measured((changes) => queue.put(changes, 0, changes.at(-1)!)),
    );
  },
  'gNMI outbox': () => {
    const outbox = new GnmiOutbox(leaves);
    report(
      'gNMI outbox',
      outbox,
      measured((changes) => putAll(outbox, changes)),
    );
  },
  'both together': () => {
    const queue = new StreamQueue(leaves);
    const outbox = new GnmiOutbox(leaves);
    const both = measured((changes) => {
      queue.put(changes, 0, changes.at(-1)!);
      putAll(outbox, changes);
    });
    report('both together', [queue, outbox], both);
  },
};

/** Shared, as the hub shares it. */
const noRoots: readonly string[] = [];

function putAll(outbox: GnmiOutbox, changes: readonly LeafChange[]): void {
  const fed = changes.map((change): FedChange => ({ change, roots: noRoots, formerNs: null }));
  for (const one of fed) outbox.put(one.change.device, one.change.key, one, false);
}

/** `held` is named so that it is not collected before it was measured. */
function report(what: string, held: unknown, bytes: number): void {
  process.stdout.write(`${what}: ${bytes.toFixed(0)} bytes an entry${held === null ? '!' : ''}\n`);
}

process.stdout.write(`${leaves} leaves; without a reader ${(idleBytes / 1024).toFixed(0)} KiB more in a round\n`);
for (let n = 0; n < 2; n += 1) for (const run of Object.values(variants)) run();
