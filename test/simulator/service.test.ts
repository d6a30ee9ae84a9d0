import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { parse as parseYaml } from 'yaml';
import { systemClock } from '../../core/clock.ts';
import { loadSettings } from '../../core/config.ts';
import { silentLogger } from '../../core/logger.ts';
import { parseDevicesFile } from '../../schemas/device-document.ts';
import { simulatorSettings } from '../../simulator/config.ts';
import { startSimulator } from '../../simulator/service.ts';
import { GnmiClient, streamOf } from './subscriber.ts';

/** The simulator as a process has it: settings, control port, devices file. */
type Running = Awaited<ReturnType<typeof startSimulator>>;

async function withSimulator(
  flags: Readonly<Record<string, unknown>>,
  work: (simulator: Running, folder: string) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'simulator-'));
  const file = { writeDevicesFile: join(folder, 'devices.yaml'), deviceTlsDir: join(folder, 'tls') };
  const { values } = loadSettings(simulatorSettings, {
    flags: { devices: 3, interfaces: 1, ...file, ...flags },
    env: {},
    knownElsewhere: new Set(),
  });
  const deps = { clock: systemClock, logger: silentLogger, env: { PASSWORD: 'secret' } };
  let simulator: Running | undefined;
  try {
    simulator = await startSimulator(values, deps);
    await work(simulator, folder);
  } finally {
    await simulator?.stop();
    await rm(folder, { recursive: true });
  }
}

interface Answer {
  readonly status: number;
  readonly data: Record<string, unknown>;
  readonly code?: string;
}

async function ask(simulator: Running, method: string, path: string, body?: object): Promise<Answer> {
  const response = await fetch(`http://${simulator.control.address}${path}`, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    headers: { connection: 'close' },
  });
  const answer = (await response.json()) as { data: Record<string, unknown>; code?: string };
  return { ...answer, status: response.status };
}

test('the control port tells the truth exactly, pauses, and applies faults', async () => {
  await withSimulator({ rate: 50 }, async (simulator) => {
    const { fleet } = simulator;
    expect((await ask(simulator, 'POST', '/pause')).data).toEqual({ paused: true });
    const { data } = await ask(simulator, 'GET', '/devices/sim-2/truth');
    expect(data['sequence']).toBe(fleet.emitted('sim-2').toString());
    const leaves = data['leaves'] as {
      path: string;
      value: unknown;
      typed: unknown;
      type: string;
      timestamp: string;
    }[];
    expect(leaves).toHaveLength(fleet.truth('sim-2').size);
    const octets = fleet
      .truth('sim-2')
      .get('openconfig:/interfaces/interface[name=Ethernet1/1]/state/counters/in-octets')!;
    const told = leaves.find(({ path }) => path.endsWith('/in-octets'))!;
    const exact = octets.value.kind === 'uint' ? octets.value.value.toString() : '';
    expect(told).toMatchObject({
      value: exact,
      typed: { uintVal: exact },
      type: 'uint',
      timestamp: octets.timestampNs.toString(),
    });

    const set = { set: '/simulator/set', value: { uintVal: '18446744073709551615' } };
    expect((await ask(simulator, 'POST', '/devices/sim-2/leaf', set)).status).toBe(200);
    expect(fleet.truth('sim-2').get('openconfig:/simulator/set')?.value).toEqual({
      kind: 'uint',
      value: 2n ** 64n - 1n,
    });
    expect((await ask(simulator, 'POST', '/devices/sim-2/leaf', { delete: '/simulator/set' })).data).toEqual({
      deleted: 1,
    });

    const fault = await ask(simulator, 'POST', '/devices/sim-2/fault', { kind: 'freeze' });
    expect(fault.data).toEqual({ active: ['freeze'] });
    expect((await ask(simulator, 'POST', '/resume')).data).toEqual({ paused: false });
    await systemClock.sleep(100);
    const before = fleet.emitted('sim-1');
    const sequence = (await ask(simulator, 'GET', '/devices/sim-1/sequence')).data['sequence'];
    expect(BigInt(sequence as string)).toBeGreaterThanOrEqual(before);
    const listed = (await ask(simulator, 'GET', '/devices')).data['devices'] as { name: string; faults: string[] }[];
    expect(listed.map(({ name, faults }) => [name, faults])).toEqual([
      ['sim-1', []],
      ['sim-2', ['freeze']],
      ['sim-3', []],
    ]);
    await ask(simulator, 'POST', '/devices/sim-2/fault', { kind: 'clear' });
  });
});

test.each([
  ['GET', '/devices/nobody/truth', undefined, 404, 'DEVICE_UNKNOWN'],
  ['GET', '/nowhere', undefined, 404, 'ROUTE_UNKNOWN'],
  ['POST', '/devices/sim-1/fault', { kind: 'unheard-of' }, 400, 'BODY_INVALID'],
  ['POST', '/devices/sim-1/fault', { kind: 'flap' }, 400, 'BODY_INVALID'],
  ['POST', '/devices/sim-1/leaf', { delete: '/a[' }, 400, 'PATH_MALFORMED'],
])('%s %s %j is answered %d %s', async (method, path, body, status, code) => {
  await withSimulator({ rate: 0 }, async (simulator) => {
    expect(await ask(simulator, method, path, body)).toMatchObject({ status, code });
  });
});

test('the devices file is what `holdfast devices import` takes, TLS and credentials included', async () => {
  const flags = { rate: 0, deviceTls: 'mutual', deviceUsername: 'telemetry', devicePassword: 'env:PASSWORD' };
  await withSimulator(flags, async (simulator, folder) => {
    const document = parseYaml(await readFile(join(folder, 'devices.yaml'), 'utf8')) as { devices: object[] };
    const parsed = parseDevicesFile(document);
    expect(parsed).toMatchObject({ ok: true });
    expect(document.devices[0]).toMatchObject({
      name: 'sim-1',
      addresses: [`127.0.0.1:${simulator.fleet.device('sim-1').port}`],
      tls: {
        ca: `file:${folder}/tls/ca.pem`,
        cert: `file:${folder}/tls/client.pem`,
        key: `file:${folder}/tls/client-key.pem`,
      },
      credentials: { username: 'telemetry', password: 'env:PASSWORD' },
      labels: { simulated: 'true' },
      profiles: ['simulated'],
    });
  });
});

test('devices take consecutive ports from a base, and say which one is taken', async () => {
  await withSimulator({ rate: 0 }, async (simulator) => {
    const taken = simulator.fleet.device('sim-1').port;
    await expect(withSimulator({ rate: 0, basePort: taken, devices: 1 }, async () => undefined)).rejects.toMatchObject({
      code: 'LISTEN_IN_USE',
    });
    const client = new GnmiClient(simulator.fleet.device('sim-1').address);
    await client.subscribe(streamOf(['/'])).synced();
    client.close();
  });
});

test('a user name without a password is refused at the start', async () => {
  await expect(withSimulator({ deviceUsername: 'x' }, async () => undefined)).rejects.toMatchObject({
    code: 'SETTING_INVALID',
  });
});
