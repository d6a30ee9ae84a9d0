import { Counter, Gauge } from 'prom-client';
import { type Metrics } from '../core/metrics.ts';

/** What a simulator counts about itself; `docs/metrics.md` explains each. */
export interface SimulatorMetrics {
  readonly devices: Gauge;
  readonly streams: Gauge;
  readonly ticks: Counter;
  readonly ticksSkipped: Counter;
  readonly overflows: Counter;
  readonly faults: Counter<'kind'>;
}

export function createSimulatorMetrics(metrics: Metrics): SimulatorMetrics {
  const registers = [metrics.registry];
  return {
    devices: new Gauge({ name: 'holdfast_simulator_devices', help: 'Simulated devices.', registers }),
    streams: new Gauge({ name: 'holdfast_simulator_streams', help: 'Open Subscribe RPCs.', registers }),
    ticks: new Counter({ name: 'holdfast_simulator_ticks_total', help: 'Ticks of all devices.', registers }),
    ticksSkipped: new Counter({
      name: 'holdfast_simulator_ticks_skipped_total',
      help: 'Ticks left out because the process was held up; sequences have no hole for them.',
      registers,
    }),
    overflows: new Counter({
      name: 'holdfast_simulator_streams_overflowed_total',
      help: 'Streams ended because their reader was too slow.',
      registers,
    }),
    faults: new Counter({
      name: 'holdfast_simulator_faults_total',
      help: 'Faults applied, by kind.',
      labelNames: ['kind'],
      registers,
    }),
  };
}
