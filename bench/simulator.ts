// What does the simulator cost? One process plays the devices, a child reads every stream and throws it away.
// npx tsx bench/simulator.ts [devices=100] [rate=10] [updates=20] [seconds=10]
import { fork } from 'node:child_process';
import { Client, credentials } from '@grpc/grpc-js';
import { systemClock } from '../core/clock.ts';
import { silentLogger } from '../core/logger.ts';
import { createMetrics } from '../core/metrics.ts';
import { gnmi } from '../schemas/gnmi.ts';
import { parsePath } from '../schemas/path.ts';
import { Fleet } from '../simulator/fleet.ts';
import { createSimulatorMetrics } from '../simulator/metrics.ts';

const [devices = 100, rate = 10, updates = 20, seconds = 10] = process.argv.slice(2).map(Number);

function read(addresses: readonly string[]): void {
  const identity = (bytes: Buffer): Buffer => bytes;
  const request = gnmi.SubscribeRequest.encode({
    subscribe: { encoding: 'PROTO', subscription: [{ path: parsePath('/') }] },
  });
  let messages = 0;
  for (const address of addresses) {
    const client = new Client(address, credentials.createInsecure());
    const call = client.makeBidiStreamRequest('/gnmi.gNMI/Subscribe', identity, identity);
    call.on('data', () => (messages += 1));
    call.on('error', (error: Error) => console.error(address, error.message));
    call.write(request);
  }
  setInterval(() => process.send?.(messages), 200);
}

async function play(): Promise<void> {
  const beganAt = performance.now();
  const fleet = new Fleet({
    names: Array.from({ length: devices }, (_, index) => `sim-${index + 1}`),
    seed: 1,
    size: { interfaces: 8, blobBytes: 8192 },
    host: '127.0.0.1',
    basePort: 0,
    security: null,
    credentials: null,
    rate,
    updates,
    sampleIntervalMsMin: 100,
    clock: systemClock,
    logger: silentLogger,
    metrics: createSimulatorMetrics(createMetrics()),
  });
  await fleet.start();
  const leaves = fleet.truth('sim-1').size;
  console.log(`${devices} devices of ${leaves} leaves listen after ${Math.round(performance.now() - beganAt)} ms`);
  const reader = fork(new URL(import.meta.url).pathname, process.argv.slice(2), { env: { READER: '1' } });
  let received = 0;
  reader.on('message', (count: number) => (received = count));
  reader.send(fleet.devices.map((device) => device.address));
  await systemClock.sleep(3000);
  const before = { cpu: process.cpuUsage(), received, atMs: performance.now() };
  await systemClock.sleep(seconds * 1000);
  const cpu = process.cpuUsage(before.cpu);
  const tookMs = performance.now() - before.atMs;
  const share = ((cpu.user + cpu.system) / 1000 / tookMs) * 100;
  const rss = Math.round(process.memoryUsage().rss / 1_048_576);
  const perSecond = Math.round((received - before.received) / (tookMs / 1000));
  console.log(`${perSecond} messages/s received, ${share.toFixed(1)} % of one core, ${rss} MiB resident`);
  reader.kill();
  await fleet.stop();
}

if (process.env['READER'] === '1') process.once('message', (addresses: string[]) => read(addresses));
else await play();
