import { setting, type ValuesOf } from '../core/config.ts';
import { commonSettings } from '../core/settings.ts';

/** Settings of a query-api process: the common ones, its second listener, and the bounds of what a request may ask. */
export const queryApiSettings = {
  ...commonSettings,
  gnmiListen: setting.listen(':9339', 'address of the gNMI server, host:port'),
  gnmiTlsCert: setting.secret('PEM with the certificate of the gNMI server, file:PATH or env:NAME; unset: no TLS'),
  gnmiTlsKey: setting.secret('PEM with the key of gnmiTlsCert, file:PATH or env:NAME'),
  gnmiTlsClientCa: setting.secret(
    'PEM with the CA that certificates of gNMI clients must be of; unset: clients need none',
  ),
  gnmiMaxRequestBytes: setting.integer(
    4_194_304,
    { min: 1_024, max: 67_108_864 },
    'largest gNMI request, bytes; beyond it RESOURCE_EXHAUSTED',
  ),
  gnmiMaxGetBytes: setting.integer(
    4_194_304,
    { min: 1_024, max: 268_435_456 },
    'largest answer to a gNMI Get, bytes; beyond it RESOURCE_EXHAUSTED. Clients take 4 MiB unless told otherwise',
  ),
  gnmiMaxGetLookUps: setting.integer(
    100_000,
    { min: 1, max: 100_000_000 },
    'most paths times devices in one gNMI Get; beyond it RESOURCE_EXHAUSTED',
  ),
  gnmiMaxSubscriptions: setting.integer(
    1_000,
    { min: 1, max: 100_000 },
    'most paths in one Get or Subscribe; beyond it RESOURCE_EXHAUSTED',
  ),
  gnmiMaxStreams: setting.integer(
    2_000,
    { min: 1, max: 100_000 },
    'most Subscribe RPCs at a time; beyond it RESOURCE_EXHAUSTED',
  ),
  gnmiMaxStreamsPerClient: setting.integer(
    256,
    { min: 1, max: 100_000 },
    'most Subscribe RPCs at a time of one client address; beyond it RESOURCE_EXHAUSTED',
  ),
  gnmiMaxStreamsPerConnection: setting.integer(
    2_000,
    { min: 1, max: 1_000_000 },
    'most gNMI RPCs at a time on one connection: further ones wait at the client. Below gnmiMaxStreamsPerClient nobody sees that one’s RESOURCE_EXHAUSTED',
  ),
  gnmiMaxPolls: setting.integer(
    100,
    { min: 1, max: 1_000_000 },
    'most polls of one gNMI Subscribe RPC that may wait to be answered; beyond it RESOURCE_EXHAUSTED',
  ),
  gnmiMaxQueuedLeaves: setting.integer(
    1_000_000,
    { min: 100, max: 100_000_000 },
    'most leaves that may wait for one slow gNMI reader; beyond it RESOURCE_EXHAUSTED',
  ),
  gnmiBlockedMsMax: setting.integer(
    120_000,
    { min: 100, max: 86_400_000 },
    'ms for which a gNMI reader may take nothing before its RPC ends with RESOURCE_EXHAUSTED',
  ),
  gnmiSampleIntervalMsMin: setting.integer(
    100,
    { min: 10, max: 3_600_000 },
    'shortest sample and heartbeat interval of gNMI subscriptions, ms: a request for 0 gets it, one for less is refused',
  ),
  maxConnections: setting.integer(
    10_000,
    { min: 1, max: 1_000_000 },
    'most connections to the HTTP server at one time; one more is closed at once',
  ),
  headersTimeoutMs: setting.integer(
    10_000,
    { min: 100, max: 300_000 },
    'ms within which a client must have sent the URL and headers of a request, 408 and the end of its connection otherwise',
  ),
  requestTimeoutMs: setting.integer(
    30_000,
    { min: 100, max: 3_600_000 },
    'ms within which a client must have sent a whole request, 408 and the end of its connection otherwise',
  ),
  readReplicas: setting.choice(
    ['all', '1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11', '12', '13', '14', '15', '16'],
    'all',
    'query-api instances that hold each slot, 1 to 16, or all; the same number everywhere',
  ),
  snapshotIntervalMs: setting.integer(
    60_000,
    { min: 0, max: 3_600_000 },
    'ms between snapshots of state in dataDir, from which a restart goes on; 0: none are written or read',
  ),
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
  maxStreams: setting.integer(1_000, { min: 1, max: 100_000 }, 'most streams of changes open at one time'),
  maxQueuedLeaves: setting.integer(
    10_000,
    { min: 100, max: 1_000_000 },
    'changes that wait for one stream before it is fed from the log instead',
  ),
  streamHeartbeatMs: setting.integer(15_000, { min: 100, max: 300_000 }, 'ms between the heartbeats of a stream'),
  maxBlockedMs: setting.integer(
    120_000,
    { min: 1_000, max: 3_600_000 },
    'ms after which a stream whose reader takes nothing is ended',
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
