/**
 * Devices that are wrong, and records that are wrong about devices: each gives one error that names the remedy, no secret
 * is told to anybody, and the neighbours in the same slots and the same process lose nothing.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { type Marker, markerCodec } from '../../schemas/marker.ts';
import { createAuthority } from '../../simulator/certificates.ts';
import { type FaultInput } from '../../simulator/fault.ts';
import { eventually } from '../support/eventually.ts';
import { testKafka } from '../support/kafka.ts';
import { Stack } from '../support/stack.ts';
import { stateEqualsTruth } from '../support/state-audit.ts';
import { TelemetryAudit } from '../support/telemetry-audit.ts';

const devices = 6;
const slots = 2; // so that neighbours share the victim's slot
const victim = 'sim-1';
/** Part of every password here, and of nothing else: where it turns up, a secret was told. */
const trace = 'sesame';

type DeviceRecord = Record<string, unknown> & { addresses: string[]; tls: object; credentials: object };
interface DeviceStatus {
  readonly state: string;
  readonly code: string | null;
  readonly detail: string | null;
}

describe('bad devices', () => {
  const kafka = testKafka();
  let folder = '';
  let stack: Stack;
  const audit = new TelemetryAudit(kafka, slots);
  let original: DeviceRecord;
  const answers: string[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'holdfast-bad-devices-'));
    const secrets = {
      right: `${trace}-right`,
      wrong: `${trace}-wrong`,
      newline: `${trace}-first\n${trace}-second\n`,
      foreign: `${trace}-Schlüssel`,
    };
    for (const [name, secret] of Object.entries(secrets)) await writeFile(join(folder, name), secret);
    await writeFile(join(folder, 'other-ca.pem'), (await createAuthority('Somebody else', Date.now())).cert);
    stack = new Stack({
      kafka,
      devices,
      rate: 10,
      updates: 10,
      ingest: 1,
      slots,
      settings: { logLevel: 'debug' },
      env: { HOLDFAST_REDIAL_MS: '100', HOLDFAST_REDIAL_MS_MAX: '500', HOLDFAST_REFUSED_REDIAL_MS: '500' },
      simulator: {
        deviceTls: 'tls',
        deviceTlsDir: join(folder, 'tls'),
        deviceUsername: 'telemetry',
        devicePassword: `file:${join(folder, 'right')}`,
      },
    });
    await stack.start();
    await audit.start();
    await audit.readToEnd();
    audit.beginWindow();
    const file = parseYaml(await readFile(join(stack.dir, 'devices.yaml'), 'utf8')) as {
      devices: (DeviceRecord & { name: string })[];
    };
    original = file.devices.find(({ name }) => name === victim) as DeviceRecord;
  }, 120_000);

  afterAll(async () => {
    await audit.stop();
    await stack.stop();
    await rm(folder, { recursive: true, force: true });
  }, 60_000);

  /** Every answer is kept: none may hold a secret. */
  const ask = async (method: string, path: string, body?: unknown): Promise<{ status: number; text: string }> => {
    const response = await fetch(`${stack.api().base}${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    const text = await response.text();
    answers.push(text);
    return { status: response.status, text };
  };
  const put = (record: object, name = victim) => ask('PUT', `/api/v1/devices/${name}`, record);
  const fault = (input: FaultInput) => stack.simulatorCall('POST', `/devices/${victim}/fault`, input);
  const statusOf = async (name = victim): Promise<DeviceStatus> => {
    const { text } = await ask('GET', `/api/v1/devices/${name}`);
    return (JSON.parse(text) as { data: { status: DeviceStatus } }).data.status;
  };
  /** Waits: what a fault broke may first be told as a lost connection. */
  const statusSays = (code: string, says: RegExp): Promise<true> =>
    eventually(`status ${code}`, 10_000, async () => {
      const status = await statusOf();
      const said = status.code === code && status.state === 'waiting' && says.test(status.detail ?? '');
      if (!said) throw new Error(JSON.stringify(status));
      return true;
    });
  const restore = async (): Promise<void> => {
    await fault({ kind: 'clear' });
    await put(original);
  };
  const wellAgain = async (): Promise<void> => {
    await restore();
    await eventually('the device is well again', 8_000, async () => {
      const status = await statusOf();
      if (status.state !== 'synced' || status.code !== null) throw new Error(JSON.stringify(status));
      return true;
    });
  };
  const gapsOf = async (reason: string): Promise<Marker[]> => {
    await audit.readToEnd();
    return audit.markers
      .filter(({ key, header }) => key === victim && header.kind === 'gap')
      .map(({ message }) => markerCodec.decode(message))
      .filter((marker) => marker.reason === reason);
  };
  const metric = async (line: RegExp): Promise<number> => {
    const text = await (await fetch(`${stack.http('ingest-1')}/metrics`)).text();
    return Number(line.exec(text)?.[1] ?? Number.NaN);
  };
  const withPassword = (file: string): object => ({
    ...original,
    credentials: { username: 'telemetry', password: `file:${join(folder, file)}` },
  });

  afterEach(restore);

  /** Codes that the victim had: each is a line of the log, printed a moment later or counted in a summary. */
  const troubles = new Set<string>();

  interface Trouble {
    readonly fault?: FaultInput;
    readonly record?: () => object;
    readonly code: string;
    readonly says: RegExp;
  }
  test.each<[string, Trouble]>([
    ['unreachable', { fault: { kind: 'refuse' }, code: 'UNREACHABLE', says: /127\.0\.0\.1:\d+.*ECONNREFUSED.*check/ }],
    [
      'the wrong CA in its record',
      {
        record: () => ({ ...original, tls: { ca: `file:${join(folder, 'other-ca.pem')}` } }),
        code: 'TLS_UNTRUSTED',
        says: /not signed by a known CA.*set tls\.ca/,
      },
    ],
    [
      'a certificate of another CA',
      { fault: { kind: 'certificate', which: 'untrusted' }, code: 'TLS_UNTRUSTED', says: /set tls\.ca/ },
    ],
    [
      'an expired certificate',
      { fault: { kind: 'certificate', which: 'expired' }, code: 'TLS_EXPIRED', says: /CERT_HAS_EXPIRED.*renew it/ },
    ],
    [
      'a certificate for another name',
      { fault: { kind: 'certificate', which: 'misnamed' }, code: 'TLS_NAME', says: /set tls\.serverName/ },
    ],
    [
      'the wrong name in its record',
      {
        record: () => ({ ...original, tls: { ...original.tls, serverName: 'leaf-1.example' } }),
        code: 'TLS_NAME',
        says: /set tls\.serverName/,
      },
    ],
    [
      'the wrong password',
      { record: () => withPassword('wrong'), code: 'UNAUTHENTICATED', says: /refused our credentials.*correct/ },
    ],
    [
      'a password with a line end inside',
      {
        record: () => withPassword('newline'),
        code: 'CREDENTIALS_INVALID',
        says: /a line end at character 13.*correct/,
      },
    ],
    [
      'a password with a character outside ASCII',
      {
        record: () => withPassword('foreign'),
        code: 'CREDENTIALS_INVALID',
        says: /a character outside printable ASCII.*correct/,
      },
    ],
    [
      'a password file that is not there',
      { record: () => withPassword('missing'), code: 'CREDENTIALS_INVALID', says: /cannot read secret file .*missing/ },
    ],
    [
      'an encoding it does not have',
      {
        record: () => ({
          ...original,
          profiles: [],
          encoding: 'ascii',
          subscriptions: [{ path: '/', mode: 'target-defined' }],
        }),
        code: 'ENCODING_UNSUPPORTED',
        says: /does not speak the asked encoding.*offers/,
      },
    ],
    [
      'garbage instead of TLS',
      { fault: { kind: 'garbage' }, code: 'TLS_PROTOCOL', says: /check that the device speaks TLS/ },
    ],
    [
      'garbage instead of gRPC',
      {
        fault: { kind: 'garbage' },
        record: () => ({ ...original, tls: undefined, plaintext: true }),
        code: 'UNREACHABLE',
        says: /does not answer gRPC: check the port, and whether it wants TLS/,
      },
    ],
  ])(
    '%s: its status says what to do, and it comes back by itself',
    async (_what, { fault: wrong, record, code, says }) => {
      if (wrong !== undefined) await fault(wrong);
      if (record !== undefined) expect((await put(record())).status).toBe(200);
      await statusSays(code, says);
      troubles.add(code);
      await wellAgain();
    },
    60_000,
  );

  test('a message of 20 MB: refused by name, marked as a gap, counted, and the device is read again', async () => {
    await fault({ kind: 'huge' });
    const [gap] = await eventually('the gap marker', 20_000, async () => {
      const gaps = await gapsOf('too-large');
      return gaps.length > 0 && gaps;
    });
    expect(gap).toMatchObject({ device: victim, lost: 1n });
    expect(gap?.detail).toMatch(/message of 200000\d\d bytes, more than maxMessageBytes 16777216; raise it/);
    expect(await metric(/holdfast_ingest_messages_flawed_total\{reason="too-large"\} (\d+)/)).toBe(1);
    await wellAgain();
  }, 60_000);

  test('a malformed message: marked as a gap and counted, the session goes on', async () => {
    await audit.readToEnd();
    const before = audit.markers.length;
    await fault({ kind: 'malformed' });
    const [gap] = await eventually('the gap marker', 20_000, async () => {
      const gaps = await gapsOf('malformed');
      return gaps.length > 0 && gaps;
    });
    expect(gap).toMatchObject({ device: victim, lost: 1n });
    expect(gap?.detail).toMatch(/a message of 5 bytes is not a SubscribeResponse/);
    expect(audit.markers.slice(before).map(({ header }) => header.kind)).toEqual(['gap']);
    const status = await eventually('the status', 10_000, async () => {
      const read = await statusOf();
      return read.code !== null && read;
    });
    expect(status).toMatchObject({ state: 'synced', code: 'MESSAGE_MALFORMED' });
  }, 60_000);

  test('a malformed path names the place, in a query and in a device record', async () => {
    const path = '/interfaces/interface[name=et-0';
    const query = await ask('GET', `/api/v1/state?path=${encodeURIComponent(path)}`);
    expect(query.status).toBe(400);
    expect(JSON.parse(query.text)).toMatchObject({ code: 'PATH_MALFORMED' });
    expect(query.text).toMatch(/at position 21/);
    const subscriptions = [{ path: '/ok' }, { path }];
    const record = await put({ ...original, subscriptions });
    expect(record.status).toBe(400);
    const problem = JSON.parse(record.text) as { code: string; problems: string[] };
    expect(problem.code).toBe('BODY_INVALID');
    expect(problem.problems).toEqual([expect.stringMatching(/^subscriptions\[1\]\.path: .*at position 21/)]);
    expect(await statusOf()).toMatchObject({ state: 'synced' });
  });

  test('two devices with one name in a file are refused, all or nothing; a PUT over a name changes the device', async () => {
    const twin = { ...original, name: 'twin' };
    const refused = await ask('POST', '/api/v1/devices:import', { devices: [twin, { ...twin, labels: { n: '2' } }] });
    expect(refused.status).toBe(400);
    const problem = JSON.parse(refused.text) as { code: string; problems: string[] };
    expect(problem.code).toBe('BODY_INVALID');
    expect(problem.problems).toEqual(['devices[1] (twin): this name is there twice']);
    expect((await ask('GET', '/api/v1/devices/twin')).status).toBe(404);

    await audit.readToEnd();
    const before = audit.markers.length;
    const changed = await put({ ...original, labels: { site: 'moved' }, receiveTimeoutMs: 60_000 });
    expect(changed.status).toBe(200);
    const listed = JSON.parse((await ask('GET', '/api/v1/devices?label=site=moved')).text) as {
      data: { devices: { name: string }[] };
    };
    expect(listed.data.devices.map(({ name }) => name)).toEqual([victim]);
    await eventually('the session is opened anew', 10_000, async () => {
      await audit.readToEnd();
      return audit.markers.slice(before).some(({ header }) => header.kind === 'synced');
    });
    const [closed] = audit.markers.slice(before);
    expect(closed?.header.kind).toBe('closed');
    expect(markerCodec.decode(closed?.message ?? Buffer.alloc(0)).reason).toBe('changed');
    await wellAgain();
  }, 30_000);

  test('two devices with one address: a warning to whoever asks and in the log, and both are collected', async () => {
    const answer = await put({ ...original, name: 'double' }, 'double');
    expect(answer.status).toBe(201);
    const { warnings } = JSON.parse(answer.text) as { warnings: string[] };
    expect(warnings).toEqual([`device double: address ${original.addresses[0] ?? ''} is also that of ${victim}`]);
    await eventually('both are synced', 15_000, async () => {
      const states = await Promise.all([statusOf(victim), statusOf('double')]);
      return states.every(({ state }) => state === 'synced');
    });
    const said = await eventually('the line of the log', 10_000, () =>
      stack.process('ingest-1').logs.find(({ msg }) => String(msg).startsWith('address used by several devices')),
    );
    expect(said).toMatchObject({ address: original.addresses[0], devices: ['double', victim] });
    expect((await ask('DELETE', '/api/v1/devices/double')).status).toBe(204);
  }, 60_000);

  test('the log has a line for every trouble', async () => {
    expect(troubles.size).toBe(8);
    await eventually('the lines', 10_000, () => {
      const { logs } = stack.process('ingest-1');
      const said = logs.filter(({ device, msg }) => device === victim && msg === 'session ended');
      const missing = [...troubles].filter((code) => !said.some((entry) => entry['code'] === code));
      if (missing.length > 0) throw new Error(missing.join(' '));
      return true;
    });
  }, 30_000);

  test('no password reached a log or an answer', async () => {
    for (const path of ['/api/v1/devices', '/api/v1/cluster', '/readyz', '/metrics']) await ask('GET', path);
    for (const part of ['ingest-1', 'replicator-1']) {
      for (const path of ['/readyz', '/metrics']) answers.push(await (await fetch(stack.http(part) + path)).text());
    }
    expect(answers.filter((text) => text.includes(trace))).toEqual([]);
    for (const [name, { output }] of stack.processes) {
      expect(output.length).toBeGreaterThan(0);
      expect({ name, told: output.split('\n').filter((line) => line.includes(trace)) }).toEqual({ name, told: [] });
    }
  });

  test('the neighbours lost nothing, and state is the truth for all', async () => {
    await audit.readToEnd();
    const disturbed = new Set(audit.markers.map(({ key }) => key));
    expect([...disturbed].sort()).toEqual(['double', victim]);
    audit.devices.delete(victim); // it was reset on purpose
    audit.devices.delete('double');
    expect(audit.devices.size).toBe(devices - 1);
    expect(audit.totals()).toMatchObject({ missing: 0n, repeated: 0, outOfOrder: 0 });
    expect(audit).toMatchObject({ lowerEpochs: 0, seqHoles: 0 });
    await stack.simulatorCall('POST', '/pause');
    await stateEqualsTruth(stack, 'query-api-1', 20_000);
  }, 60_000);
});
