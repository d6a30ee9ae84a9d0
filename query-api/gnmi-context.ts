/** What the gNMI RPCs answer from. */
import { type Clock } from '../core/clock.ts';
import { type Logger, type RateLimited } from '../core/logger.ts';
import { type QueryApiSettings } from './config.ts';
import { type GnmiHub } from './gnmi-hub.ts';
import { type EncodedPaths } from './gnmi-encoder.ts';
import { type GnmiMetrics } from './gnmi-metrics.ts';
import { type HealthSource } from './gnmi-health.ts';

export type GnmiLimits = Pick<
  QueryApiSettings,
  | 'maxPathElements'
  | 'gnmiSampleIntervalMsMin'
  | 'gnmiBlockedMsMax'
  | 'gnmiMaxStreams'
  | 'gnmiMaxStreamsPerClient'
  | 'gnmiMaxSubscriptions'
  | 'gnmiMaxRequestBytes'
  | 'gnmiMaxGetBytes'
  | 'gnmiMaxGetLookUps'
  | 'gnmiMaxStreamsPerConnection'
  | 'gnmiMaxPolls'
  | 'gnmiMaxQueuedLeaves'
>;

export interface GnmiContext extends HealthSource {
  readonly hub: GnmiHub;
  readonly limits: GnmiLimits;
  readonly paths: EncodedPaths;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly lines: RateLimited;
  readonly metrics: GnmiMetrics;
}
