import { systemClock } from '../../core/clock.ts';
import { createLogger, RateLimited } from '../../core/logger.ts';
import { DeviceCatalogue } from '../../ingest/device-catalogue.ts';
import { FleetLog } from '../../ingest/fleet-log.ts';
import { IngestSlots } from '../../ingest/ownership.ts';
import { createIngestBench, type IngestBench } from './ingest-bench.ts';
import { recordedContext } from './recorded-log.ts';

/** What ingest makes of slot 0, the only one: device records and statuses as a test puts them, log lines kept. */
export interface HeldSlot {
  readonly bench: IngestBench;
  readonly host: IngestSlots;
  readonly catalogue: DeviceCatalogue;
  readonly statuses: Map<string, { gaps: bigint }>;
  readonly lines: string[];
  /** Not started: every event is a line at once. */
  readonly fleetLog: FleetLog;
  discardedBytes: number;
  /** What `devices` holds and this process has not read yet arrives here. */
  devicesRead: () => Promise<void>;
}

export async function createHeldSlot(settings: Parameters<typeof createIngestBench>[0] = {}): Promise<HeldSlot> {
  const bench = createIngestBench(settings);
  await bench.start();
  const statuses = new Map<string, { gaps: bigint }>();
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  const logger = createLogger({ level: 'info', format: 'json', destination });
  const catalogue = new DeviceCatalogue({ slots: 1, onChange: (name) => held.host.deviceChanged(name) });
  const fleetLog = new FleetLog({ logger, clock: systemClock });
  const host = new IngestSlots({
    supervisor: { ...bench.context, limited: new RateLimited(), fleetLog },
    budget: bench.budget,
    catalogue,
    statuses: {
      get: (name) => statuses.get(name),
      devices: () => statuses.keys(),
      devicesRead: () => held.devicesRead(),
    },
    writers: recordedContext,
    onDiscarded: (bytes) => (held.discardedBytes += bytes),
  });
  const held: HeldSlot = {
    bench,
    host,
    catalogue,
    statuses,
    lines,
    fleetLog,
    discardedBytes: 0,
    devicesRead: () => Promise.resolve(),
  };
  return held;
}
