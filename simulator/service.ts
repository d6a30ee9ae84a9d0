import { mkdir, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { type Clock } from '../core/clock.ts';
import { readSecret } from '../core/config.ts';
import { HoldfastError } from '../core/errors.ts';
import { type Component, startAll } from '../core/lifecycle.ts';
import { type Logger } from '../core/logger.ts';
import { createMetrics, type Metrics } from '../core/metrics.ts';
import { Redacted } from '../core/redacted.ts';
import { createFleetCertificates, type FleetCertificates } from './certificates.ts';
import { type SimulatorSettings } from './config.ts';
import { ControlServer } from './control-server.ts';
import { type DevicesFileOptions, writeDevicesFile } from './devices-file.ts';
import { type DeviceSecurity } from './device.ts';
import { Fleet } from './fleet.ts';
import { createSimulatorMetrics } from './metrics.ts';

/** The simulator as components: devices, control port, and the file that tells collectors about the devices. */
export interface SimulatorDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Certificates of the devices when they speak TLS; made at the start if left out. */
  readonly certificates?: FleetCertificates;
  /** Own registry if left out. */
  readonly metrics?: Metrics;
}

export interface Simulator {
  readonly components: readonly Component[];
  readonly fleet: Fleet;
  readonly control: ControlServer;
}

export function createSimulator(settings: SimulatorSettings, deps: SimulatorDeps): Simulator {
  const { clock, logger, env } = deps;
  const metrics = deps.metrics ?? createMetrics();
  const credentials = credentialsOf(settings);
  const files = tlsFiles(settings);
  const makeSecurity = async (): Promise<DeviceSecurity> => {
    const certificates = deps.certificates ?? (await createFleetCertificates(clock.nowMs(), namesOf(settings)));
    if (files !== null) await writeTlsFiles(files, certificates);
    return { certificates, mutual: settings.deviceTls === 'mutual' };
  };
  const fleet = new Fleet({
    names: Array.from({ length: settings.devices }, (_, index) => `${settings.devicePrefix}${index + 1}`),
    seed: settings.seed,
    size: { interfaces: settings.interfaces, blobBytes: settings.blobBytes },
    host: settings.deviceHost,
    basePort: settings.basePort,
    security: settings.deviceTls === 'none' ? null : makeSecurity,
    credentials:
      credentials === null
        ? null
        : { username: credentials.username, password: new Redacted(readSecret(credentials.password, env)) },
    rate: settings.rate,
    updates: settings.updates,
    sampleIntervalMsMin: settings.sampleIntervalMsMin,
    clock,
    logger,
    metrics: createSimulatorMetrics(metrics),
  });
  const control = new ControlServer({ listen: settings.controlListen, fleet, metrics, logger });
  const components: Component[] = [fleet, control];
  if (settings.writeDevicesFile !== undefined) {
    const tls = files === null ? null : { ca: files.ca, client: settings.deviceTls === 'mutual' ? files : null };
    const options = { host: advertisedHost(settings), tls, credentials };
    components.push(devicesFileComponent(settings.writeDevicesFile, fleet, options, logger));
  }
  return { components, fleet, control };
}

/** Starts everything; `stop` ends it again. */
export async function startSimulator(
  settings: SimulatorSettings,
  deps: SimulatorDeps,
  signal: AbortSignal = new AbortController().signal,
): Promise<Simulator & { readonly stop: () => Promise<void> }> {
  const simulator = createSimulator(settings, deps);
  const stop = await startAll(simulator.components, deps.logger, signal);
  return { ...simulator, stop };
}

function devicesFileComponent(path: string, fleet: Fleet, options: DevicesFileOptions, logger: Logger): Component {
  return {
    name: 'devices file',
    start: async () => {
      await writeDevicesFile(path, fleet.devices, options);
      logger.info({ path, devices: fleet.devices.length }, 'devices file written');
    },
    stop: () => Promise.resolve(),
  };
}

function credentialsOf(settings: SimulatorSettings): DevicesFileOptions['credentials'] {
  const { deviceUsername: username, devicePassword: password } = settings;
  if (username === undefined && password === undefined) return null;
  if (username === undefined || password === undefined) {
    throw new HoldfastError('SETTING_INVALID', 'deviceUsername and devicePassword go together: set both or neither');
  }
  return { username, password };
}

/** Loopback and named addresses are told as they are; a wildcard address is told as the machine's name. */
function advertisedHost(settings: SimulatorSettings): string {
  const { deviceHost: host } = settings;
  return settings.advertisedHost ?? (host === '0.0.0.0' || host === '::' ? hostname() : host);
}

function namesOf(settings: SimulatorSettings): { dnsNames: string[]; addresses: string[] } {
  const host = advertisedHost(settings);
  const isAddress = isIP(host) !== 0;
  return {
    dnsNames: ['localhost', ...(isAddress ? [] : [host])],
    addresses: ['127.0.0.1', '::1', ...(isAddress ? [host] : [])],
  };
}

interface TlsFiles {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

function tlsFiles(settings: SimulatorSettings): TlsFiles | null {
  if (settings.deviceTls === 'none') return null;
  const folder = resolve(settings.deviceTlsDir);
  return { ca: join(folder, 'ca.pem'), cert: join(folder, 'client.pem'), key: join(folder, 'client-key.pem') };
}

async function writeTlsFiles(files: TlsFiles, certificates: FleetCertificates): Promise<void> {
  await mkdir(dirname(files.ca), { recursive: true });
  await writeFile(files.ca, certificates.authority.cert);
  await writeFile(files.cert, certificates.client.cert);
  await writeFile(files.key, certificates.client.key, { mode: 0o600 });
}
