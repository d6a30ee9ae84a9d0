import { type Readiness } from './admin-server.ts';
import { type Clock } from './clock.ts';
import { type Component } from './lifecycle.ts';
import { type Logger } from './logger.ts';
import { type Random } from './random.ts';

/** What a process gives the service that it runs. */
export interface ServiceDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly version: string;
  /** Called when a component dies: the process ends with exit code 1. */
  readonly onFatal: (error: Error) => void;
}

/** One part of the product as a process: constructed, not started. */
export interface Service {
  /** In the order in which they start. */
  readonly components: readonly Component[];
  /** `host:port` of /metrics and the health routes, once started. */
  readonly address: string;
  readonly readiness: () => Readiness;
}
