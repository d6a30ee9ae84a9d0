import { readFileSync } from 'node:fs';
import { type Clock } from '../clock.ts';
import { readSecret } from '../config.ts';
import { HoldfastError, messageOf } from '../errors.ts';
import { type Logger } from '../logger.ts';
import { Redacted } from '../redacted.ts';
import { type CommonSettings } from '../settings.ts';

/** PEM texts; every one may be absent. */
export interface KafkaTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

export interface KafkaSasl {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
  readonly username: string;
  readonly password: Redacted;
}

/** How to reach a cluster and who we are there; shared by every connection of a process. */
export interface KafkaOptions {
  /** `host:port` or `[v6]:port`; at least one. */
  readonly brokers: readonly string[];
  readonly clientId: string;
  readonly tls?: KafkaTls;
  readonly sasl?: KafkaSasl;
  /** Where an advertised address is really reached, for links that can be cut. Default: as advertised. */
  readonly route?: (address: { readonly host: string; readonly port: number }) => { host: string; port: number };
  readonly logger: Logger;
  readonly clock: Clock;
}

/**
 * Resolves settings to options: reads the TLS files and the password now, so that a wrong path is an error at start.
 * Throws `SETTING_INVALID` or `CREDENTIALS_INVALID`.
 */
export function kafkaOptionsOf(
  settings: CommonSettings,
  env: Readonly<Record<string, string | undefined>>,
  logger: Logger,
  clock: Clock,
): KafkaOptions {
  if (settings.kafkaBrokers.length === 0) {
    throw new HoldfastError('SETTING_INVALID', 'no Kafka brokers: set HOLDFAST_KAFKA_BROKERS to host:port[,host:port]');
  }
  for (const broker of settings.kafkaBrokers) brokerAddress(broker);
  const tls = tlsOf(settings);
  const sasl = saslOf(settings, env);
  return {
    brokers: settings.kafkaBrokers,
    clientId: settings.instanceId ?? 'holdfast',
    logger,
    clock,
    ...(tls === undefined ? {} : { tls }),
    ...(sasl === undefined ? {} : { sasl }),
  };
}

/** Throws `SETTING_INVALID` when the text is not `host:port`. */
export function brokerAddress(text: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:.%]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || !(port > 0 && port < 65_536)) {
    throw new HoldfastError('SETTING_INVALID', `Kafka broker "${text}" is not host:port`);
  }
  return { host, port };
}

function tlsOf(settings: CommonSettings): KafkaTls | undefined {
  if (!settings.kafkaTls) return undefined;
  const { kafkaTlsCa, kafkaTlsCert, kafkaTlsKey } = settings;
  if ((kafkaTlsCert === undefined) !== (kafkaTlsKey === undefined)) {
    throw new HoldfastError('SETTING_INVALID', 'kafkaTlsCert and kafkaTlsKey are needed together');
  }
  return {
    ...(kafkaTlsCa === undefined ? {} : { ca: readPem('kafkaTlsCa', kafkaTlsCa) }),
    ...(kafkaTlsCert === undefined ? {} : { cert: readPem('kafkaTlsCert', kafkaTlsCert) }),
    ...(kafkaTlsKey === undefined ? {} : { key: readPem('kafkaTlsKey', kafkaTlsKey) }),
  };
}

function saslOf(settings: CommonSettings, env: Readonly<Record<string, string | undefined>>): KafkaSasl | undefined {
  const { kafkaSaslMechanism: mechanism, kafkaSaslUsername: username, kafkaSaslPassword: reference } = settings;
  if (mechanism === undefined) return undefined;
  if (username === undefined || reference === undefined) {
    throw new HoldfastError('SETTING_INVALID', 'kafkaSaslMechanism needs kafkaSaslUsername and kafkaSaslPassword');
  }
  return { mechanism, username, password: new Redacted(readSecret(reference, env)) };
}

function readPem(name: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (thrown) {
    const message = `${name}: cannot read ${path}: ${messageOf(thrown)}`;
    throw new HoldfastError('SETTING_INVALID', message, { cause: thrown });
  }
}
