import { setting, type ValuesOf } from '../core/config.ts';
import { commonSettings } from '../core/settings.ts';

/** Settings of a query-api process: the common ones, its second listener, and the bounds of what a request may ask. */
export const queryApiSettings = {
  ...commonSettings,
  gnmiListen: setting.listen(':9339', 'address of the gNMI server, host:port; reserved, nothing listens there yet'),
  readReplicas: setting.choice(['all'], 'all', 'query-api instances that hold each slot; only `all` for now'),
  maxBodyBytes: setting.integer(
    16_777_216,
    { min: 1_024, max: 268_435_456 },
    'largest request body, bytes; an import of 10 000 devices has about 5 MB',
  ),
  maxUrlBytes: setting.integer(8_192, { min: 1_024, max: 32_768 }, 'longest request URL, bytes'),
  maxLeaves: setting.integer(
    10_000,
    { min: 1, max: 1_000_000 },
    'most leaves or devices in one answer, and the default of `limit`',
  ),
  maxPathElements: setting.integer(64, { min: 1, max: 1_024 }, 'most elements of a path in a request'),
  maxPaths: setting.integer(32, { min: 1, max: 1_024 }, 'most `path`, `device` or `label` parameters in one request'),
  maxWaitMs: setting.integer(
    30_000,
    { min: 0, max: 300_000 },
    'longest wait a request may ask for with `maxWaitMs`, ms',
  ),
  writeTimeoutMs: setting.integer(
    10_000,
    { min: 100, max: 300_000 },
    'ms after which a change that is not durable and visible is answered with 503',
  ),
  readyStalenessMs: setting.integer(
    10_000,
    { min: 1_000, max: 3_600_000 },
    'staleness of a slot, ms, beyond which /readyz says not ready',
  ),
};

export type QueryApiSettings = ValuesOf<typeof queryApiSettings>;
