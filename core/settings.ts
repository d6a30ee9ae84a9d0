import { setting, type ValuesOf } from './config.ts';

/** Settings that every process has: Kafka, topics, identity, what it listens on, timers of the lock, logs. */
export const commonSettings = {
  kafkaBrokers: setting.list([], 'Kafka brokers to start from, host:port separated by commas'),
  kafkaTls: setting.boolean(false, 'speak TLS to the brokers'),
  kafkaTlsCa: setting.optionalText('PEM file with the CA of the brokers; the system CAs when unset'),
  kafkaTlsCert: setting.optionalText('PEM file with the client certificate shown to the brokers'),
  kafkaTlsKey: setting.optionalText('PEM file with the key of kafkaTlsCert'),
  kafkaSaslMechanism: setting.optionalChoice(
    ['plain', 'scram-sha-256', 'scram-sha-512'],
    'SASL mechanism; unset: no SASL',
  ),
  kafkaSaslUsername: setting.optionalText('SASL user name'),
  kafkaSaslPassword: setting.secret('SASL password, file:PATH or env:NAME'),
  schemaRegistryUrl: setting.optionalText(
    'URL of a Confluent-compatible schema registry; unset: schemas are kept in the topic `schemas`',
  ),
  schemaRegistryUsername: setting.optionalText('user name for the schema registry'),
  schemaRegistryPassword: setting.secret('password for the schema registry, file:PATH or env:NAME'),
  schemaRegistryTlsCa: setting.optionalText('PEM file with the CA of the schema registry'),
  topicPrefix: setting.text('holdfast.', 'prefix of every topic, group and transactional id'),
  slots: setting.integer(
    64,
    { min: 1, max: 1024 },
    'slots = partitions of the device topics; fixed when the topics are created, 1 to 1024',
  ),
  replicationFactor: setting.integer(3, { min: 1, max: 9 }, 'replicas of each topic that we create, 1 to 9'),
  createTopics: setting.boolean(true, 'create missing topics at start'),
  telemetryRetentionMs: setting.integer(
    86_400_000,
    { min: 60_000, max: 31_536_000_000 },
    'ms that `telemetry` keeps records',
  ),
  telemetryRetentionBytes: setting.optionalInteger(
    { min: 1_048_576, max: Number.MAX_SAFE_INTEGER },
    'bytes that each partition of `telemetry` keeps; unset: no limit',
  ),
  resumeWindowMs: setting.integer(
    600_000,
    { min: 0, max: 86_400_000 },
    'ms within which a stream resumes without loss (min.compaction.lag.ms of `state`)',
  ),
  maxMessageBytes: setting.integer(
    16_777_216,
    { min: 65_536, max: 134_217_728 },
    'largest message accepted from a device, bytes',
  ),
  compression: setting.choice(['auto', 'none', 'gzip', 'snappy', 'lz4', 'zstd'], 'auto', 'codec of record batches'),
  dataDir: setting.text('.holdfast', 'folder for local files; safe to delete'),
  cacheDir: setting.optionalText("folder for fetched files; unset: the user's cache folder"),
  instanceId: setting.optionalText('name of this process, unique in the cluster; unset: host name and part'),
  zone: setting.optionalText('failure zone of this process'),
  advertisedHost: setting.optionalText('host name under which others reach this process; unset: host name'),
  httpListen: setting.listen(':8080', 'address of the HTTP server, host:port'),
  peerListen: setting.listen(':0', 'address of the peer-watch listener, host:port'),
  timers: setting.choice(['default', 'fast'], 'default', 'profile of the timers of the lock'),
  sessionTimeoutMs: setting.optionalInteger(
    { min: 1_000, max: 300_000 },
    'ms without a heartbeat after which Kafka gives slots away; default 20000, fast 6000',
  ),
  heartbeatMs: setting.optionalInteger({ min: 50, max: 30_000 }, 'ms between heartbeats; default 1000, fast 500'),
  leaseGuardMs: setting.optionalInteger(
    { min: 50, max: 60_000 },
    'ms before the end of the session timeout at which a worker stops; default 1000, fast 500',
  ),
  rebalanceTimeoutMs: setting.integer(
    60_000,
    { min: 3_000, max: 900_000 },
    'ms a rebalance may take; at least three session timeouts',
  ),
  logLevel: setting.choice(
    ['debug', 'info', 'warn', 'error', 'silent'],
    'info',
    'least severe log line that is printed',
  ),
  logFormat: setting.optionalChoice(['json', 'pretty'], 'format of log lines; unset: pretty on a terminal, else json'),
};

export type CommonSettings = ValuesOf<typeof commonSettings>;
