import { systemClock } from '../../core/clock.ts';
import { silentLogger } from '../../core/logger.ts';
import { createMetrics } from '../../core/metrics.ts';
import { Fleet, type FleetOptions } from '../../simulator/fleet.ts';
import { createSimulatorMetrics } from '../../simulator/metrics.ts';

/** A small fleet on loopback and free ports that only ticks when told to, unless the options say otherwise. */
export function testFleet(options: Partial<FleetOptions> = {}): Fleet {
  return new Fleet({
    names: ['dut-1'],
    seed: 7,
    size: { interfaces: 2, blobBytes: 2000 },
    host: '127.0.0.1',
    basePort: 0,
    security: null,
    credentials: null,
    rate: 0,
    updates: 20,
    sampleIntervalMsMin: 20,
    clock: systemClock,
    logger: silentLogger,
    metrics: createSimulatorMetrics(createMetrics()),
    ...options,
  });
}

/** Runs `work` with a started fleet and stops it, whatever happens. */
export async function withFleet(options: Partial<FleetOptions>, work: (fleet: Fleet) => Promise<void>): Promise<void> {
  const fleet = testFleet(options);
  try {
    await fleet.start();
    await work(fleet);
  } finally {
    await fleet.stop();
  }
}
