import { type QueryApiSettings } from './config.ts';

export type RequestLimits = Pick<
  QueryApiSettings,
  'maxBodyBytes' | 'maxUrlBytes' | 'maxLeaves' | 'maxPathElements' | 'maxPaths' | 'maxWaitMs'
>;

/** How long a client may take, and how many there may be. */
export type ConnectionLimits = Pick<QueryApiSettings, 'maxConnections' | 'headersTimeoutMs' | 'requestTimeoutMs'>;
