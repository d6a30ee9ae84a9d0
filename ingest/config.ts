import { setting, type ValuesOf } from '../core/config.ts';
import { commonSettings } from '../core/settings.ts';

/** Settings of a process that holds device sessions; `docs/configuration.md` lists them with their reasons. */
export const ingestSettings = {
  ...commonSettings,
  maxUnackedBytes: setting.integer(
    67_108_864,
    { min: 1_048_576, max: 4_294_967_296 },
    'bytes of device messages that may wait for Kafka in this process before sessions are paused, 1 MiB to 4 GiB',
  ),
  maxPauseMs: setting.integer(
    30_000,
    { min: 100, max: 600_000 },
    'ms a session may stay paused before it is closed and the gap marked; a stalled reader can hurt a device',
  ),
  receiveWindowBytes: setting.integer(
    262_144,
    { min: 65_535, max: 16_777_216 },
    'HTTP/2 window per device, bytes: what a paused device may still send us, and the limit of one round trip',
  ),
  dialTimeoutMs: setting.integer(
    10_000,
    { min: 100, max: 300_000 },
    'ms for connecting, TLS and Capabilities together, per address',
  ),
  receiveTimeoutMs: setting.integer(
    0,
    { min: 0, max: 86_400_000 },
    'ms without a message after which a session is dialled anew; 0: never (a device record may say its own)',
  ),
  syncTimeoutMs: setting.integer(
    120_000,
    { min: 1_000, max: 3_600_000 },
    'ms from Subscribe to the sync of every subscription, after which the session has failed',
  ),
  redialMs: setting.integer(
    1_000,
    { min: 10, max: 60_000 },
    'ms before the first redial of a device, doubled each time',
  ),
  redialMsMax: setting.integer(
    60_000,
    { min: 10, max: 3_600_000 },
    'longest ms between redials; a session that was up longer than this starts anew from redialMs',
  ),
  refusedRedialMs: setting.integer(
    300_000,
    { min: 10, max: 86_400_000 },
    'ms before dialling a device that refused us for a reason only an operator can change',
  ),
  dialsMax: setting.integer(64, { min: 1, max: 2_000 }, 'devices that this process dials at the same time'),
  standbyConnectionsMax: setting.integer(
    5_000,
    { min: 0, max: 100_000 },
    'connections kept ready to devices of slots that this process stands by for, at most; 0: none, a takeover dials',
  ),
  standbyDialsMax: setting.integer(
    16,
    { min: 1, max: 2_000 },
    'devices that are dialled at the same time to keep a connection ready, beside dialsMax',
  ),
};

export type IngestSettings = ValuesOf<typeof ingestSettings>;
