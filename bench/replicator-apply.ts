/**
 * How many leaves a second one core applies: telemetry records in, encoded `state` records out, without Kafka.
 * Target: 20,000 leaves/s in less than half a core. `npx tsx bench/replicator-apply.ts`
 */
import { type LogRecord } from '../core/kafka/log-reader.ts';
import { plainFacts } from '../replicator/explode.ts';
import { SlotReducer } from '../replicator/slot-reducer.ts';
import { SlotTable } from '../replicator/slot-table.ts';
import { StateWriter } from '../replicator/state-writer.ts';
import { createTally } from '../replicator/tally.ts';
import { encodeFrame, framePrefix } from '../schemas/frame.ts';
import { gnmi } from '../schemas/gnmi.ts';
import { type PathElem } from '../schemas/path.ts';
import { encodeHeader } from '../schemas/position.ts';
import { encodeTypedValue } from '../schemas/value.ts';

const devices = 100;
const leavesPerNotification = 20;
const notifications = 20_000;

const elem = (name: string, key?: string): PathElem => ({
  name,
  keys: new Map(key === undefined ? [] : [['name', key]]),
});

function record(index: number): LogRecord {
  const device = `leaf-${index % devices}`;
  const round = Math.floor(index / devices);
  const timestamp = 1_800_000_000_000_000_000n + BigInt(index);
  const prefix = {
    elems: [elem('interfaces'), elem('interface', `et-0/0/${round % 20}`), elem('state'), elem('counters')],
  };
  const update = Array.from({ length: leavesPerNotification }, (_, leaf) => ({
    path: { elems: [elem(`counter-${leaf}`)] },
    val: encodeTypedValue({ kind: 'uint', value: BigInt(index) * 1_000_003n }),
  }));
  const bytes = gnmi.SubscribeResponse.encode({ update: { timestamp, prefix, update } });
  const seq = BigInt(index + 1);
  const header = { kind: 'data' as const, slot: 0, rpc: 0, epoch: 1n, seq, receivedAtNs: timestamp };
  return {
    offset: BigInt(index),
    timestampMs: 0,
    key: Buffer.from(device),
    value: encodeFrame(1, bytes),
    header: encodeHeader(header),
  };
}

const records = Array.from({ length: notifications }, (_, index) => record(index));
let written = 0;
let bytes = 0;
const done = Promise.resolve();
const reducer = new SlotReducer({
  slot: 0,
  table: new SlotTable({ windowNs: 600_000_000_000n, entriesMax: 1_000 }),
  facts: () => plainFacts,
  tally: createTally(),
  futureLimitNs: null,
  restored: null,
});
const writer = new StateWriter({
  slot: 0,
  topic: 'state',
  port: {
    unackedBytes: 0,
    append: (_topic, _partition, batch) => {
      written += batch.length;
      for (const { key, value } of batch) bytes += key.length + (value?.length ?? 0);
      return { acked: done };
    },
    start: () => done,
    progress: () => ({ unacked: false, ackedBatches: 0 }),
    stop: () => 0,
  },
  leafPrefix: framePrefix(2),
  markerPrefix: framePrefix(3),
  groupBytesMax: 8_388_608,
  unackedBytesMax: 67_108_864,
  conflateWindowNs: 0n,
  instance: 'bench',
  incarnation: 'bench',
});

const startedMs = performance.now();
for (const one of records) {
  const applied = reducer.apply(one);
  if (applied !== null) writer.write(applied.point, applied.changed, one.key?.toString('utf8') ?? '');
}
const seconds = (performance.now() - startedMs) / 1_000;
const perSecond = Math.round(written / seconds);
console.log(`${written} leaves, ${(bytes / 1e6).toFixed(1)} MB in ${seconds.toFixed(2)} s: ${perSecond} leaves/s,`);
console.log(
  `${((seconds / written) * 1e6).toFixed(2)} us per leaf; 20,000 leaves/s take ${((20_000 / perSecond) * 100).toFixed(1)} % of a core`,
);
