import { expect, test } from '@jest/globals';
import { systemClock } from '../../core/clock.ts';
import { type LogRecord } from '../../core/kafka/log-reader.ts';
import { silentLogger } from '../../core/logger.ts';
import { createMetrics } from '../../core/metrics.ts';
import { createQueryApiMetrics } from '../../query-api/metrics.ts';
import { Replica } from '../../query-api/replica.ts';
import { encodeFrame } from '../../schemas/frame.ts';
import { leafCodec } from '../../schemas/leaf.ts';
import { emptyMarker, markerCodec } from '../../schemas/marker.ts';
import { compilePattern } from '../../schemas/path-pattern.ts';
import { rootPath } from '../../schemas/path.ts';
import { encodeHeader, type RecordKind } from '../../schemas/position.ts';
import { encodeTypedValue } from '../../schemas/value.ts';

function createReplica() {
  const metrics = createMetrics();
  const own = createQueryApiMetrics(metrics, { leaves: () => 0, stalenessMs: () => 0, slotsCaughtUp: () => 0 });
  const kafka = { brokers: ['127.0.0.1:1'], clientId: 'test', logger: silentLogger, clock: systemClock };
  const onFatal = () => undefined;
  const replica = new Replica({
    kafka,
    topic: 'state',
    slots: 2,
    clock: systemClock,
    logger: silentLogger,
    metrics: own,
    onFatal,
  });
  const count = async (line: string) => (await metrics.registry.metrics()).includes(line);
  return { replica, count };
}

let offset = 0n;
function record(key: string, seq: bigint, value: Buffer | null, kind: RecordKind = 'data'): LogRecord {
  offset += 1n;
  const header = encodeHeader({ slot: 1, epoch: 5n, seq, kind, rpc: 0, receivedAtNs: 1n });
  return { offset, timestampMs: 1, key: Buffer.from(key), value, header };
}
function leafRecord(device: string, path: string, seq: bigint, value: bigint): LogRecord {
  const leaf = {
    device,
    origin: 'openconfig',
    path,
    value: encodeTypedValue({ kind: 'uint', value }),
    timestampNs: 3n,
    atomicRoot: '',
    sampled: true,
  };
  return record(`${device}|openconfig:${path}`, seq, encodeFrame(7, leafCodec.encode(leaf)));
}
const batch = (records: LogRecord[]) => ({
  partition: 1,
  records,
  nextOffset: offset + 1n,
  highWatermark: offset + 1n,
});
const pathsOf = (replica: Replica) => replica.store.find('d', compilePattern(rootPath), '/').map((leaf) => leaf.path);

test('leaves, tombstones and markers of a batch are applied, and count', async () => {
  const { replica, count } = createReplica();
  const marker = encodeFrame(8, markerCodec.encode({ ...emptyMarker('synced'), lagMs: 4 }));
  replica.apply(
    batch([
      leafRecord('d', '/a', 1n, 1n),
      leafRecord('d', '/b', 2n, 1n),
      record('d|openconfig:/a', 3n, null),
      record('|slot', 3n, marker),
    ]),
  );
  expect(pathsOf(replica)).toEqual(['/b']);
  expect(replica.complete(1)).toEqual({ slot: 1, epoch: 5n, seq: 3n });
  expect(replica.complete(0)).toBeNull();
  expect(await count('holdfast_query_api_records_applied_total 4')).toBe(true);
});

test('a record that cannot be read is counted and left out, the rest counts (R2)', async () => {
  const { replica, count } = createReplica();
  replica.apply(
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
  expect(pathsOf(replica)).toEqual(['/e']);
  expect(await count('holdfast_query_api_records_discarded_total{reason="malformed"} 6')).toBe(true);
});

test('a record below the position of its key is counted as superseded (L1)', async () => {
  const { replica, count } = createReplica();
  replica.apply(batch([leafRecord('d', '/a', 5n, 1n), leafRecord('d', '/a', 4n, 2n)]));
  expect(replica.store.find('d', compilePattern(rootPath), '/')[0]!.seq).toBe(5n);
  expect(await count('holdfast_query_api_records_discarded_total{reason="superseded"} 1')).toBe(true);
});

test('who waits for a position wakes when it is applied, and not before', async () => {
  const { replica } = createReplica();
  const { signal } = new AbortController();
  const reached = replica.reached([{ slot: 1, epoch: 5n, seq: 2n }], 2_000, signal);
  replica.apply(batch([leafRecord('d', '/a', 2n, 1n)]));
  expect(await replica.reached([{ slot: 1, epoch: 5n, seq: 2n }], 0, signal)).toBe(false);
  replica.apply(batch([leafRecord('d', '/a', 3n, 1n)]));
  expect(await reached).toBe(true);
  expect(await replica.reached([{ slot: 1, epoch: 9n, seq: 1n }], 10, signal)).toBe(false);
  const gone = new AbortController();
  const abandoned = replica.reached([{ slot: 1, epoch: 9n, seq: 1n }], 2_000, gone.signal);
  gone.abort(new Error('the client has gone'));
  await expect(abandoned).rejects.toThrow('the client has gone');
});

test('twenty thousand leaf records take a small part of a second', () => {
  const { replica } = createReplica();
  const records = Array.from({ length: 20_000 }, (_, n) =>
    leafRecord(
      'd',
      `/interfaces/interface[name=et-0/0/${n % 500}]/state/counters/in-octets`,
      BigInt(n + 1),
      BigInt(n) << 30n,
    ),
  );
  replica.apply(batch(records.slice(0, 10_000)));
  const startedMs = performance.now();
  replica.apply(batch(records));
  // The aim is 250 ms of a core for a second's worth; the bound leaves room for a busy machine.
  expect(performance.now() - startedMs).toBeLessThan(1_000);
});
