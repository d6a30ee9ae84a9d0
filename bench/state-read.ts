/**
 * How fast `state` is read from the topic alone, stage by stage, without Kafka: what a broker sends, in memory, to records,
 * to positions and leaves, to the replicator's table.
 * Target: 1 M leaves, 2 records each, within 15 s on 2 cores, for query-api and replicator alike. `npx tsx bench/state-read.ts [leaves]`
 */
import { readRecords, type LogRecord } from '../core/kafka/log-batch.ts';
import { loadNativeCrc32c } from '../core/kafka/crc32c.ts';
import { compressorOf, loadCodecs } from '../core/kafka/compression.ts';
import { BatchBuilder, decodeBatches, decodeRecords } from '../core/kafka/record-batch.ts';
import { decodeStateRecord } from '../query-api/state-record.ts';
import { StateRestore } from '../replicator/restore.ts';
import { SlotTable } from '../replicator/slot-table.ts';
import { framePrefix } from '../schemas/frame.ts';
import { leafCodec } from '../schemas/leaf.ts';
import { decodeHeader, encodeHeader } from '../schemas/position.ts';
import { leafKey } from '../schemas/topics.ts';
import { encodeTypedValue } from '../schemas/value.ts';

const leaves = Number(process.argv[2] ?? 500_000);
const recordsPerLeaf = 2;
const leavesPerDevice = 500;
/** As a Fetch brings them: 1 MiB of a partition. */
const sectionBytes = 1_048_576;
const batchBytes = 65_536;

await loadCodecs();
const isNative = await loadNativeCrc32c();
const compressor = compressorOf('auto');
const prefix = framePrefix(3);

/** Devices one after the other, as they were written: 20 leaves of an interface under one position. */
function sections(): Buffer[] {
  const found: Buffer[] = [];
  const builder = new BatchBuilder(batchBytes * 2);
  let parts: Buffer[] = [];
  let bytes = 0;
  let offset = 0n;
  const seal = (): void => {
    const count = BigInt(builder.recordCount);
    const sealed = builder.seal(compressor);
    if (sealed instanceof Promise) throw new Error('a codec without a synchronous form');
    const batch = Buffer.from(sealed.bytesOf(1n, 1, 0));
    batch.writeBigInt64BE(offset, 0); // the broker's
    offset += count;
    parts.push(batch);
    bytes += batch.length;
    if (bytes < sectionBytes) return;
    found.push(Buffer.concat(parts));
    parts = [];
    bytes = 0;
  };
  for (let round = 0; round < recordsPerLeaf; round += 1) {
    for (let leaf = 0; leaf < leaves; leaf += 1) {
      const device = `leaf-${Math.floor(leaf / leavesPerDevice)}`;
      const inDevice = leaf % leavesPerDevice;
      const path = `/interfaces/interface[name=et-0/0/${Math.floor(inDevice / 20)}]/state/counters/counter-${inDevice % 20}`;
      const seq = BigInt(round * leaves + Math.floor(leaf / 20) + 1);
      const timestampNs = 1_800_000_000_000_000_000n + seq;
      const value = encodeTypedValue({ kind: 'uint', value: BigInt(leaf) * 1_000_003n });
      const bytesOfLeaf = leafCodec.encode({
        device,
        origin: 'openconfig',
        path,
        value,
        timestampNs,
        atomicRoot: '',
        sampled: true,
      });
      const header = encodeHeader({
        kind: 'data',
        slot: 0,
        rpc: 0,
        epoch: 1n,
        seq,
        receivedAtNs: timestampNs,
        more: false,
      });
      builder.append(Buffer.from(leafKey(device, 'openconfig', path)), prefix, bytesOfLeaf, header, 1_800_000_000_000);
      if (builder.length >= batchBytes) seal();
    }
  }
  if (builder.recordCount > 0) seal();
  found.push(Buffer.concat(parts));
  return found;
}

const fetched = sections().map((records) => ({
  topic: 'state',
  partition: 0,
  errorCode: 0,
  highWatermark: 0n,
  logStartOffset: 0n,
  records,
}));
const total = leaves * recordsPerLeaf;
const megabytes = fetched.reduce((sum, { records }) => sum + records.length, 0) / 1e6;
console.log(`${total} records, ${megabytes.toFixed(0)} MB as sent, CRC ${isNative ? 'native' : 'in JavaScript'}`);

/** CPU and not time: other work may run beside it. */
function measure(name: string, work: () => number): void {
  const startedMs = performance.now();
  const before = process.cpuUsage();
  const done = work();
  const { user, system } = process.cpuUsage(before);
  const cpuSeconds = (user + system) / 1e6;
  const seconds = (performance.now() - startedMs) / 1_000;
  console.log(
    `${name.padEnd(44)} ${Math.round(done / cpuSeconds)
      .toLocaleString('en')
      .padStart(12)} records/s of CPU, ${((cpuSeconds / done) * 1e6).toFixed(2)} us each, ${seconds.toFixed(2)} s`,
  );
}

function each(visit: (records: readonly LogRecord[]) => void): number {
  let count = 0;
  for (const one of fetched) {
    const batch = readRecords(one, 0n);
    if (batch instanceof Promise || batch === null) throw new Error('read in one go');
    visit(batch.records);
    count += batch.records.length;
  }
  return count;
}

for (let warm = 0; warm < 2; warm += 1) {
  console.log(warm === 0 ? '\nfirst time, code not yet compiled' : '\nagain');
  measure('batches: frame and CRC', () => {
    for (const { records } of fetched) decodeBatches(records);
    return total;
  });
  measure('… and records out of them', () => {
    for (const { records } of fetched) for (const batch of decodeBatches(records)) void decodeRecords(batch);
    return total;
  });
  measure('… as a reader hands them over', () => each(() => undefined));
  measure('… and headers', () => each((records) => records.forEach(({ header }) => decodeHeader(header!))));
  measure('… and leaves, as query-api decodes them', () => each((records) => records.forEach(decodeStateRecord)));
  measure('replicator: read, decoded, in its table', () => {
    const restore = new StateRestore();
    const count = each((records) => records.forEach((record) => restore.add(record)));
    const table = new SlotTable({ windowNs: 1n, entriesMax: 1 });
    while (restore.fill(table, 10_000));
    if (table.leafCount !== leaves) throw new Error(`${table.leafCount} leaves`);
    return count;
  });
}
