import { setting, type ValuesOf } from '../core/config.ts';
import { commonSettings } from '../core/settings.ts';

/** Settings of the replicator: those of every process, and how it applies what devices say. */
export const replicatorSettings = {
  ...commonSettings,
  maxUnackedBytes: setting.integer(
    67_108_864,
    { min: 1_048_576, max: 4_294_967_296 },
    'bytes written and not yet confirmed by Kafka, over all slots, beyond which reading pauses',
  ),
  deleteWindowMs: setting.integer(
    600_000,
    { min: 0, max: 86_400_000 },
    'ms for which an update older than a delete of its path is refused',
  ),
  deleteTimesMax: setting.integer(
    1_000,
    { min: 1, max: 1_000_000 },
    'deleted paths remembered per device; beyond it the oldest is forgotten and counted',
  ),
  conflateWindowMs: setting.integer(
    250,
    { min: 0, max: 60_000 },
    'ms of telemetry within which values of SAMPLE leaves are merged while a slot is behind; 0: never',
  ),
  futureLimitMs: setting.integer(
    0,
    { min: 0, max: 31_536_000_000 },
    'ms that an update may be ahead of its receipt before it is refused; 0: no limit',
  ),
};

export type ReplicatorSettings = ValuesOf<typeof replicatorSettings>;
