// What does a connected device cost an ingest process? One ingest on its own Kafka, simulated plaintext devices in another
// process, a line a minute: resident, heap after a collection, CPU per message. The issue's bar: 500 devices below 300 MB, heap
// growing by at most 0.5 MB a minute from minute 2 on.
// npm run bench:memory -- [devices=500] [rate=1] [updates=20] [minutes=10]
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parse as parseYaml } from 'yaml';
import { ApiClient } from '../cli/api-client.ts';
import { EmbeddedKafka } from '../cli/embedded-kafka.ts';
import { freePortsFrom } from '../cli/dev/free-ports.ts';
import { kafkaJars } from '../cli/kafka-jars.ts';
import { systemClock } from '../core/clock.ts';
import { eventually } from '../test/support/eventually.ts';
import { testCacheDir } from '../test/support/test-cache.ts';

const [devices = 500, rate = 1, updates = 20, minutes = 10] = process.argv.slice(2).map(Number);
const root = fileURLToPath(new URL('..', import.meta.url));
const preload = pathToFileURL(join(root, 'bench', 'gc-on-signal.mjs')).href;
const minuteMs = 60_000;
const mib = (bytes: number): string => (bytes / 1_048_576).toFixed(1);

interface Sample {
  readonly rss: number;
  readonly heapUsed: number;
  readonly external: number;
  readonly cpuUs: number;
  readonly messages: number;
}

const children: ChildProcess[] = [];

/** One `holdfast` command; what it prints appears only if it is a warning or worse. */
function part(nodeFlags: readonly string[], command: string, settings: Readonly<Record<string, string>>): ChildProcess {
  const given = Object.entries({ logLevel: 'warn', ...settings });
  const flags = given.flatMap(([name, value]) => [
    `--${name.replace(/[A-Z]/g, (upper) => `-${upper.toLowerCase()}`)}`,
    value,
  ]);
  const args = [...nodeFlags, join(root, 'dist', 'cli', 'main.js'), command, ...flags];
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  children.push(child);
  return child;
}

async function sampleOf(child: ChildProcess, http: string): Promise<Sample> {
  const said = new Promise<Omit<Sample, 'messages'>>((resolve) => child.once('message', resolve));
  child.kill('SIGUSR2');
  const text = await (await fetch(`http://${http}/metrics`)).text();
  const messages = Number(/^holdfast_ingest_messages_total (\d+)/m.exec(text)?.[1]);
  return { ...(await said), messages };
}

async function startFleet(dir: string, brokers: string): Promise<{ ingest: ChildProcess; http: string }> {
  const devicesFile = join(dir, 'devices.yaml');
  const ports = await freePortsFrom(28_100, 4);
  const [controlListen, http, api, gnmiListen] = ports.map((port) => `127.0.0.1:${port}`) as [
    string,
    string,
    string,
    string,
  ];
  part([], 'simulate', {
    ...{ devices: String(devices), rate: String(rate), updates: String(updates), deviceHost: '127.0.0.1' },
    ...{ controlListen, writeDevicesFile: devicesFile },
  });
  const common = { kafkaBrokers: brokers, slots: '16', replicationFactor: '1', advertisedHost: '127.0.0.1' };
  const local = { peerListen: '127.0.0.1:0', dataDir: dir };
  const ingest = part(['--import', preload], 'ingest', { ...common, ...local, httpListen: http });
  const importer = part([], 'query-api', { ...common, ...local, httpListen: api, gnmiListen });
  await eventually('devices and processes', 60_000, async () => {
    const answers = await Promise.all([controlListen, http].map((address) => fetch(`http://${address}/readyz`)));
    return answers.every(({ ok }) => ok) && (await fetch(`http://${api}/readyz`)).status !== 0;
  });
  const client = new ApiClient(`http://${api}`);
  const document: unknown = parseYaml(await readFile(devicesFile, 'utf8'));
  await eventually('devices imported', 30_000, async () => {
    await client.call('POST', '/api/v1/devices:import', document);
    return true;
  });
  await eventually('all devices synced', 120_000, async () => {
    const text = await (await fetch(`http://${http}/metrics`)).text();
    return text.includes(`holdfast_ingest_sessions{state="synced"} ${devices}\n`);
  });
  importer.kill('SIGTERM'); // two cores are for what is measured
  return { ingest, http };
}

async function measure(ingest: ChildProcess, http: string): Promise<void> {
  const samples: Sample[] = [await sampleOf(ingest, http)];
  const startedAt = performance.now();
  console.log(`${devices} devices × ${rate}/s × ${updates} updates: all synced, now for ${minutes} min`);
  let rssMax = 0;
  for (let minute = 1; minute <= minutes; minute += 1) {
    await systemClock.sleep(Math.max(0, startedAt + minute * minuteMs - performance.now()));
    const before = samples.at(-1)!;
    const now = await sampleOf(ingest, http);
    samples.push(now);
    rssMax = Math.max(rssMax, now.rss);
    const cpuUs = (now.cpuUs - before.cpuUs) / (now.messages - before.messages);
    console.log(
      `minute ${minute}: ${mib(now.rss)} MiB resident, ${mib(now.heapUsed)} MiB heap after collection ` +
        `(${mib(now.heapUsed - before.heapUsed)}), ${mib(now.external)} MiB external, ${cpuUs.toFixed(0)} µs CPU a message`,
    );
  }
  const settled = samples.slice(2); // from minute 2 on
  const [first, last] = [settled[0], settled.at(-1)];
  if (first === undefined || last === undefined || settled.length < 2) return;
  const growth = (last.heapUsed - first.heapUsed) / (settled.length - 1);
  console.log(`most resident ${mib(rssMax)} MiB (bar: 300 MB), heap grows ${mib(growth)} MiB a minute (bar: 0.5)`);
}

async function run(): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-bench-'));
  const jarsDir = await kafkaJars({
    pomFile: join(root, 'pom.xml'),
    cacheDir: testCacheDir,
    onProgress: (line) => console.log(line),
  });
  const kafka = new EmbeddedKafka({ jarsDir, dataDir: join(dir, 'kafka'), nodes: 1, clock: systemClock });
  try {
    await kafka.start(new AbortController().signal);
    const { ingest, http } = await startFleet(dir, kafka.brokers.join(','));
    await measure(ingest, http);
  } finally {
    const exits = children.map((child) => {
      const isGone = child.exitCode !== null || child.signalCode !== null;
      const gone = isGone ? Promise.resolve() : new Promise((resolve) => child.once('close', resolve));
      child.kill('SIGTERM');
      return gone;
    });
    await Promise.all(exits);
    await kafka.stop();
    await rm(dir, { recursive: true, force: true });
  }
}

await run();
