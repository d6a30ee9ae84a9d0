import { setting, type ValuesOf } from '../core/config.ts';
import { commonSettings } from '../core/settings.ts';

/** Settings of `holdfast simulate`. */
export const simulatorSettings = {
  logLevel: commonSettings.logLevel,
  logFormat: commonSettings.logFormat,
  advertisedHost: commonSettings.advertisedHost,
  devices: setting.integer(20, { min: 1, max: 5000 }, 'simulated devices, 1 to 5000'),
  devicePrefix: setting.text('sim-', 'device names are this and a number from 1'),
  rate: setting.integer(
    10,
    { min: 0, max: 1000 },
    'notifications per second of each device; 0: nothing changes by itself',
  ),
  updates: setting.integer(20, { min: 1, max: 10_000 }, 'updates per notification, the sequence number included'),
  seed: setting.integer(1, { min: 0, max: 4_294_967_295 }, 'seed of all values; the same seed and names give the same'),
  interfaces: setting.integer(8, { min: 1, max: 10_000 }, 'interfaces per device; 19 leaves each'),
  blobBytes: setting.integer(
    8192,
    { min: 0, max: 4_194_304 },
    'bytes of the JSON document that each device has as one leaf',
  ),
  sampleIntervalMsMin: setting.integer(
    100,
    { min: 1, max: 3_600_000 },
    'shortest sample interval a device accepts, ms',
  ),
  deviceHost: setting.text('127.0.0.1', 'address the devices listen on'),
  basePort: setting.integer(0, { min: 0, max: 65_535 }, 'port of the first device, the others follow; 0: free ports'),
  controlListen: setting.listen('127.0.0.1:0', 'address of the HTTP port for truth and faults, host:port'),
  deviceTls: setting.choice(
    ['none', 'tls', 'mutual'],
    'none',
    'plaintext, TLS, or TLS where collectors must show a certificate too; certificates are made at the start',
  ),
  deviceTlsDir: setting.text(
    '.holdfast/simulator-tls',
    'folder for the CA and the client certificate that collectors need',
  ),
  deviceUsername: setting.optionalText('user name that collectors must send; unset: nobody is asked'),
  devicePassword: setting.secret('password for deviceUsername, file:PATH or env:NAME'),
  writeDevicesFile: setting.optionalText('YAML file to write the devices to, for `holdfast devices import`'),
};

export type SimulatorSettings = ValuesOf<typeof simulatorSettings>;
