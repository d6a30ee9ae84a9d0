/**
 * How long a query-api process with 1 M leaves takes until it is ready, killed with −9 before: from its snapshot, and from the
 * topic alone, which has two records per leaf. A Kafka of its own beside it, and a marker per slot and second, as a replicator
 * writes them. Needs `dist/` (`npm run build`).
 * Targets: 5 s from the snapshot, 15 s from the topic, on 2 cores. `npx tsx bench/restart.ts [devices=2000] [leaves=500] [rounds=3]`
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EmbeddedKafka } from '../cli/embedded-kafka.ts';
import { kafkaJars } from '../cli/kafka-jars.ts';
import { systemClock } from '../core/clock.ts';
import { Producer } from '../core/kafka/producer.ts';
import { silentLogger } from '../core/logger.ts';
import { encodeFrame } from '../schemas/frame.ts';
import { leafCodec } from '../schemas/leaf.ts';
import { emptyMarker, markerCodec } from '../schemas/marker.ts';
import { encodeHeader } from '../schemas/position.ts';
import { slotOf } from '../schemas/slot.ts';
import { leafKey, slotMarkerKey } from '../schemas/topics.ts';
import { encodeTypedValue } from '../schemas/value.ts';
import { freePort } from '../test/support/free-port.ts';

const [devices = 2_000, leavesPerDevice = 500, rounds = 3] = process.argv.slice(2).map(Number);
const slots = 64;
const recordsPerLeaf = 2;
const prefix = 'bench.';
const topic = `${prefix}state`;
const never = new AbortController().signal;
const dir = await mkdtemp(join(tmpdir(), 'holdfast-restart-'));
const seqs = Array.from({ length: slots }, () => 0n);
const epoch = 1_795_246_383_702n;

const root = fileURLToPath(new URL('..', import.meta.url));
const jarsDir = await kafkaJars({
  pomFile: join(root, 'pom.xml'),
  cacheDir: process.env['HOLDFAST_CACHE_DIR'] ?? join(homedir(), '.cache', 'holdfast'),
  onProgress: console.log,
});
const kafka = new EmbeddedKafka({ jarsDir, dataDir: join(dir, 'kafka'), nodes: 1, clock: systemClock }); // prettier-ignore
await kafka.start(never);
const producer = new Producer({
  kafka: { brokers: kafka.brokers, clientId: 'bench', logger: silentLogger, clock: systemClock },
});
await producer.start(never);

const headerAt = (slot: number, seq: bigint): Buffer =>
  encodeHeader({ slot, epoch, seq, kind: 'data', rpc: 0, more: false, receivedAtNs: systemClock.nowNs() });

async function fill(round: number): Promise<void> {
  for (let device = 0; device < devices; device += 1) {
    const name = `leaf-${device}`;
    const slot = slotOf(name, slots);
    const records = Array.from({ length: leavesPerDevice }, (_, leaf) => {
      const seq = (seqs[slot] ?? 0n) + 1n;
      seqs[slot] = seq;
      const path = `/interfaces/interface[name=et-0/0/${Math.floor(leaf / 20)}]/state/counters/counter-${leaf % 20}`;
      const value = encodeTypedValue({ kind: 'uint', value: BigInt(round * 1_000_000 + leaf) * 1_000_003n });
      const timestampNs = 1_795_246_383_702_000_001n + seq;
      const encoded = leafCodec.encode({ device: name, origin: 'openconfig', path, value, timestampNs, atomicRoot: '', sampled: true }); // prettier-ignore
      return { key: Buffer.from(leafKey(name, 'openconfig', path)), value: encodeFrame(7, encoded), header: headerAt(slot, seq) }; // prettier-ignore
    });
    await producer.send(topic, slot, records);
  }
}

/** As a replicator that has nothing to do. */
async function mark(): Promise<void> {
  const value = encodeFrame(8, markerCodec.encode({ ...emptyMarker('synced'), lagMs: 1 }));
  const key = Buffer.from(slotMarkerKey);
  await Promise.all(seqs.map((seq, slot) => producer.send(topic, slot, [{ key, value, header: headerAt(slot, seq) }])));
}

const http = `127.0.0.1:${await freePort()}`;
const gnmi = `127.0.0.1:${await freePort()}`;
interface Part {
  readonly output: () => string;
  readonly kill: () => Promise<void>;
}

function start(snapshotIntervalMs: number): Part {
  const settings = {
    'kafka-brokers': kafka.brokers.join(','),
    'topic-prefix': prefix,
    slots,
    'replication-factor': 1,
    'instance-id': 'bench',
    'advertised-host': '127.0.0.1',
    'http-listen': http,
    'gnmi-listen': gnmi,
    'data-dir': join(dir, 'data'),
    'snapshot-interval-ms': snapshotIntervalMs,
    'log-format': 'json',
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, `${value}`]);
  const child = spawn(process.execPath, [join(root, 'dist', 'cli', 'main.js'), 'query-api', ...flags]);
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const ended = once(child, 'close');
  return {
    output: () => output,
    kill: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

async function isReady(): Promise<boolean> {
  return (await fetch(`http://${http}/readyz`).catch(() => null))?.ok === true;
}

async function readySeconds(snapshotIntervalMs: number): Promise<{ told: string; part: Part }> {
  const startedMs = performance.now();
  const part = start(snapshotIntervalMs);
  while (!(await isReady())) {
    if (performance.now() - startedMs > 240_000) throw new Error(`not ready:\n${part.output().slice(-3_000)}`);
    await systemClock.sleep(20);
  }
  const seconds = (performance.now() - startedMs) / 1_000;
  const metrics = await (await fetch(`http://${http}/metrics`)).text();
  const [, leaves = ''] = /^holdfast_query_api_leaves (\d+)/m.exec(metrics) ?? [];
  if (Number(leaves) !== devices * leavesPerDevice) throw new Error(`ready with ${leaves} leaves`);
  const [, cpuSeconds = ''] = /^holdfast_process_process_cpu_seconds_total ([\d.]+)/m.exec(metrics) ?? [];
  return { told: `${seconds.toFixed(1)} s, ${Number(cpuSeconds).toFixed(1)} s of CPU`, part };
}

const marking = { on: true };
try {
  const first = start(0); // makes the topics
  while (!(await fetch(`http://${http}/metrics`).catch(() => null))) await systemClock.sleep(100);
  while (!/state loaded/.test(first.output())) await systemClock.sleep(100);
  await first.kill();
  for (let round = 0; round < recordsPerLeaf; round += 1) await fill(round);
  console.log(`${devices * leavesPerDevice} leaves, ${recordsPerLeaf} records each, ${slots} slots`);
  const markers = (async () => {
    while (marking.on) {
      await mark();
      await systemClock.sleep(1_000);
    }
  })();
  await systemClock.sleep(1_500);
  for (let round = 0; round < rounds; round += 1) {
    const { told, part } = await readySeconds(0);
    await part.kill();
    console.log(`from the topic alone: ready after ${told}`);
  }
  const { part: writing } = await readySeconds(3_000);
  const files = async (): Promise<number> =>
    (await readdir(join(dir, 'data', 'state', 'i-bench')).catch(() => [])).filter((name) => name.endsWith('.snapshot')).length; // prettier-ignore
  while ((await files()) < slots) await systemClock.sleep(100);
  await writing.kill();
  for (let round = 0; round < rounds; round += 1) {
    const { told, part } = await readySeconds(3_600_000);
    const output = part.output();
    await part.kill();
    if (output.includes('snapshot refused')) throw new Error(output.slice(-3_000));
    const [, ofState = '?'] = /"seconds":([\d.]+)[^\n]*state loaded/.exec(output) ?? [];
    console.log(`from the snapshot: ready after ${told}, of it ${ofState} s for state`);
  }
  marking.on = false;
  await markers;
} finally {
  marking.on = false;
  await producer.stop();
  await kafka.stop();
  await rm(dir, { recursive: true, force: true });
}
