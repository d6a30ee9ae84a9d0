import { join } from 'node:path';
import { formatHostPort } from '../../core/listen-address.ts';

/** What `holdfast dev` was asked for. */
export interface DevOptions {
  readonly devices: number;
  readonly ingest: number;
  readonly replicator: number;
  readonly queryApi: number;
  readonly brokers: 1 | 3;
  readonly dataDir: string;
  /** Notifications per second and device, and updates in each. */
  readonly rate: number;
  readonly updates: number;
  /** Given through to every part, `--name value` pairs of settings. */
  readonly settings: Readonly<Record<string, string>>;
}

/** One process to run: pure, so that a test can read what `holdfast dev` would do. */
export interface PlannedPart {
  readonly part: 'simulator' | 'ingest' | 'replicator' | 'query-api';
  readonly instanceId: string;
  readonly http: string;
  readonly gnmi: string | undefined;
  /** Arguments of the `holdfast` command. */
  readonly args: readonly string[];
}

/** Ports for the plan in the order of `portsNeeded`. */
export interface PlannedPorts {
  readonly http: readonly number[];
  readonly gnmi: readonly number[];
  readonly simulatorControl: number;
  readonly simulatorBase: number;
}

const host = '127.0.0.1';

export function planParts(options: DevOptions, brokers: readonly string[], ports: PlannedPorts): PlannedPart[] {
  const shared = {
    kafkaBrokers: brokers.join(','),
    slots: '16',
    replicationFactor: String(Math.min(brokers.length, 3)),
    timers: 'fast',
    advertisedHost: host,
    dataDir: options.dataDir,
    peerListen: `${host}:0`,
    logFormat: 'json',
    ...options.settings,
  };
  const parts: PlannedPart[] = [];
  let nextHttp = 0;
  const add = (part: 'ingest' | 'replicator' | 'query-api', count: number): void => {
    for (let number = 1; number <= count; number += 1) {
      const instanceId = `${part}-${number}`;
      const http = formatHostPort(host, ports.http[nextHttp++] as number);
      const gnmi = part === 'query-api' ? formatHostPort(host, ports.gnmi[number - 1] as number) : undefined;
      const own = { ...shared, instanceId, httpListen: http, ...(gnmi === undefined ? {} : { gnmiListen: gnmi }) };
      parts.push({ part, instanceId, http, gnmi, args: [part, ...asFlags(own)] });
    }
  };
  add('query-api', options.queryApi);
  add('ingest', options.ingest);
  add('replicator', options.replicator);
  if (options.devices > 0) parts.push(planSimulator(options, ports));
  return parts;
}

function planSimulator(options: DevOptions, ports: PlannedPorts): PlannedPart {
  const control = formatHostPort(host, ports.simulatorControl);
  const settings = {
    devices: String(options.devices),
    rate: String(options.rate),
    updates: String(options.updates),
    deviceHost: host,
    basePort: String(ports.simulatorBase),
    controlListen: control,
    writeDevicesFile: devicesFile(options.dataDir),
    logFormat: 'json',
  };
  return {
    part: 'simulator',
    instanceId: 'simulator',
    http: control,
    gnmi: undefined,
    args: ['simulate', ...asFlags(settings)],
  };
}

/** Where the simulator says which devices it plays, in the form `holdfast devices import` takes. */
export function devicesFile(dataDir: string): string {
  return join(dataDir, 'devices.yaml');
}

function asFlags(settings: Readonly<Record<string, string>>): string[] {
  return Object.entries(settings).flatMap(([name, value]) => [
    `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
    value,
  ]);
}
