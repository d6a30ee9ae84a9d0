// What does a takeover cost once the lock has given us the slot? Simulated plaintext devices and one ingest in one process, no
// Kafka: from `activate` to each device's first record in the log, with connections prepared and without; then what it takes to
// close every session in the protocol's way (`release`) and to destroy every socket (`drop`).
// npx tsx bench/takeover.ts [devices=200]
import { type Takeover } from '../core/kafka/slot-host.ts';
import { createStandbyBench, type StandbyBench } from '../test/ingest/standby-bench.ts';
import { testFleet } from '../test/simulator/test-fleet.ts';
import { eventually } from '../test/support/eventually.ts';
import { deviceRecord, subscription } from '../test/support/ingest-bench.ts';
import { RecordedLog } from '../test/support/recorded-log.ts';

const [devices = 200] = process.argv.slice(2).map(Number);
const takeover: Takeover = { fromEpoch: 1n, fromSeq: 1n, committedOffset: 0n, applied: null, reason: 'crash' };
const never = new AbortController().signal;
const names = Array.from({ length: devices }, (_, n) => `dut-${n}`);
const ms = (value: number): string => value.toFixed(1).padStart(7);

class TimedLog extends RecordedLog {
  readonly firstAtMs = new Map<string, number>();

  override appendNumbered(...args: Parameters<RecordedLog['appendNumbered']>): { readonly acked: Promise<void> } {
    const [, { kind, key }] = args;
    const device = key.toString();
    if (kind === 'data' && !this.firstAtMs.has(device)) this.firstAtMs.set(device, performance.now());
    return super.appendNumbered(...args);
  }
}

async function takeOver(worker: StandbyBench, log: TimedLog, what: string): Promise<void> {
  await worker.host.begin(0, log, takeover, never);
  const startedAtMs = performance.now();
  worker.host.activate(0);
  const activateMs = performance.now() - startedAtMs;
  await eventually('first records', 60_000, () => log.firstAtMs.size === devices);
  const tookMs = [...log.firstAtMs.values()].map((atMs) => atMs - startedAtMs).sort((a, b) => a - b);
  const at = (share: number): string => ms(tookMs[Math.floor((tookMs.length - 1) * share)] ?? 0);
  console.log(
    `${what}  first ${at(0)}  median ${at(0.5)}  p95 ${at(0.95)}  last ${at(1)}  activate itself ${ms(activateMs)}`,
  );
}

const fleet = testFleet({ names });
await fleet.start();
const settings = { dialTimeoutMs: 30_000, maxPauseMs: 30_000, syncTimeoutMs: 60_000, receiveWindowBytes: 262_144 };
console.log(`${devices} devices; ms`);
for (const connectionsMax of [0, devices, 0, devices]) {
  const worker = await createStandbyBench({ connectionsMax, settings, dialsMax: 64, gateMax: 64 });
  for (const device of fleet.devices) {
    const fields = {
      addresses: [device.address],
      subscriptions: [subscription('/interfaces/interface[name=Ethernet1/1]/state/counters/in-octets')],
    };
    worker.catalogue.setDevice(device.name, deviceRecord(device.name, fields));
  }
  worker.standby.prepare(new Set([0]));
  await eventually('warm', 60_000, () => worker.standby.isWarm(0));
  await takeOver(worker, new TimedLog(), connectionsMax === 0 ? 'dialled ' : 'prepared');
  const releasedAtMs = performance.now();
  await worker.host.release(0, 'moved', never);
  console.log(`          release ${ms(performance.now() - releasedAtMs)}`);
  worker.standby.prepare(new Set());
  await takeOver(worker, new TimedLog(), 'again   ');
  const droppedAtMs = performance.now();
  void worker.host.drop(0);
  console.log(`          drop ${ms(performance.now() - droppedAtMs)}`);
  await worker.stop();
}
await fleet.stop();
