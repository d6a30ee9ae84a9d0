import { systemClock } from '../../core/clock.ts';
import { seededRandom } from '../../core/random.ts';
import { DeviceCatalogue } from '../../ingest/device-catalogue.ts';
import { DialGate } from '../../ingest/dial-gate.ts';
import { grpcTransport } from '../../ingest/grpc-transport.ts';
import { IngestSlots } from '../../ingest/ownership.ts';
import { PreparedConnections } from '../../ingest/prepared-connections.ts';
import { IngestStandby } from '../../ingest/standby.ts';
import { createIngestBench, type IngestBench } from '../support/ingest-bench.ts';
import { recordedContext } from '../support/recorded-log.ts';

/** A worker that stands by for slots and may be given them: everything of ingest but Kafka and the lock. */
export interface StandbyBench {
  readonly bench: IngestBench;
  readonly catalogue: DeviceCatalogue;
  readonly connections: PreparedConnections;
  readonly standby: IngestStandby;
  readonly host: IngestSlots;
  /** Calls of `onWarm`. */
  readonly warmed: { count: number };
  readonly tables: { caughtUp: boolean };
  /** Of `holdfast_ingest_prepared_total`. */
  outcomes(): Promise<Record<string, number>>;
  gauge(): Promise<number>;
  stop(): Promise<void>;
}

export interface StandbyBenchOptions {
  readonly slots?: number;
  readonly connectionsMax?: number;
  readonly dialsMax?: number;
  readonly settings?: Parameters<typeof createIngestBench>[0];
  /** Sessions dialled at the same time. */
  readonly gateMax?: number;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

export async function createStandbyBench(options: StandbyBenchOptions = {}): Promise<StandbyBench> {
  const { slots = 1, connectionsMax = 5_000, dialsMax = 16, gateMax = 4, env = {} } = options;
  const bench = createIngestBench(options.settings);
  await bench.start();
  const { metrics } = bench.context.session;
  const connections = new PreparedConnections({
    transport: grpcTransport,
    clock: systemClock,
    random: seededRandom(2),
    metrics,
    settings: bench.context.settings,
    connectionsMax,
    dialsMax,
  });
  await connections.start();
  const warmed = { count: 0 };
  const tables = { caughtUp: true };
  const catalogue = new DeviceCatalogue({
    slots,
    onChange: (name) => {
      standby.deviceChanged(name);
      host.deviceChanged(name);
    },
  });
  const dial = { env, settings: bench.context.settings };
  const standby = new IngestStandby({
    catalogue,
    caughtUp: () => tables.caughtUp,
    connections,
    connectionsMax,
    dial,
    clock: systemClock,
    onWarm: () => (warmed.count += 1),
  });
  const host = new IngestSlots({
    supervisor: {
      ...bench.context,
      gate: new DialGate({ max: gateMax }),
      env,
      session: { ...bench.context.session, transport: connections },
    },
    budget: bench.budget,
    catalogue,
    statuses: { get: () => undefined, devices: () => [], devicesRead: () => Promise.resolve() },
    writers: recordedContext,
    onDiscarded: () => undefined,
    standby,
  });
  return {
    ...{ bench, catalogue, connections, standby, host, warmed, tables },
    outcomes: async () =>
      Object.fromEntries(
        (await metrics.prepared.get()).values.map(({ labels, value }) => [String(labels.outcome), value]),
      ),
    gauge: async () => (await metrics.preparedConnections.get()).values[0]?.value ?? 0,
    stop: async () => {
      for (let slot = 0; slot < slots; slot += 1) await host.drop(slot);
      await standby.stop();
      await connections.stop();
      await bench.stop();
    },
  };
}
