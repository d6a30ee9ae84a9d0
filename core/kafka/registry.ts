import { type Clock } from '../clock.ts';
import { type Logger } from '../logger.ts';
import { type CommonSettings } from '../settings.ts';
import { openBuiltInRegistry, type SchemaProducer } from './builtin-registry.ts';
import { type KafkaOptions } from './connection.ts';
import { openExternalRegistry, type RegistryAddress, registryAccessOf } from './external-registry.ts';
import { RegistryClient } from './registry-client.ts';
import { type SchemaIds } from './schema-ids.ts';

export { type SchemaIds } from './schema-ids.ts';

export interface RegistryOptions {
  readonly settings: CommonSettings;
  readonly kafka: KafkaOptions;
  readonly producer: SchemaProducer;
  /** Where secret references of the settings point to. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Sees to it that every record type has a schema id, in the registry that the settings name: an external one by URL, or
 * the topic `schemas`. After that the ids are in memory, and nothing that runs depends on the registry.
 * @throws `SCHEMA_COLLISION`, `REGISTRY_UNREACHABLE`
 */
export function openRegistry(options: RegistryOptions, signal: AbortSignal): Promise<SchemaIds> {
  const { settings, env, clock, logger } = options;
  const url = settings.schemaRegistryUrl;
  if (url === undefined) {
    return openBuiltInRegistry({ ...options, topicPrefix: settings.topicPrefix }, signal);
  }
  return openExternalRegistry(
    { ...addressOf(url, settings, env, clock), topicPrefix: settings.topicPrefix, logger },
    signal,
  );
}

function addressOf(url: string, settings: CommonSettings, env: RegistryOptions['env'], clock: Clock): RegistryAddress {
  return {
    url,
    username: settings.schemaRegistryUsername,
    passwordReference: settings.schemaRegistryPassword,
    caFile: settings.schemaRegistryTlsCa,
    env,
    clock,
  };
}

/** Asks an external registry for a sign of life; null where the schemas are kept in Kafka. */
export function registryProbe(
  settings: CommonSettings,
  env: RegistryOptions['env'],
  clock: Clock,
): ((signal: AbortSignal) => Promise<void>) | null {
  const url = settings.schemaRegistryUrl;
  if (url === undefined) return null;
  const client = new RegistryClient(registryAccessOf(addressOf(url, settings, env, clock)));
  return (signal) => client.answers(signal);
}
