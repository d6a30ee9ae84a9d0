/**
 * Processes that are started wrongly: each ends with one error that names the remedy and exit code 2 (settings) or 1, no
 * secret is printed, and the system that runs already does not notice.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../support/eventually.ts';
import { testKafka } from '../support/kafka.ts';
import { repositoryRoot } from '../support/repository-root.ts';
import { type Ended, runOnce } from '../support/run-once.ts';
import { Stack } from '../support/stack.ts';
import { TelemetryAudit } from '../support/telemetry-audit.ts';

const devices = 3;
const slots = 2;
const parts = ['ingest', 'replicator', 'query-api'] as const;

describe('bad settings', () => {
  const kafka = testKafka();
  const stack = new Stack({ kafka, devices, rate: 10, updates: 5, ingest: 1, slots });
  const audit = new TelemetryAudit(kafka, slots);
  let folder = '';

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'holdfast-bad-settings-'));
    await stack.start();
    await audit.start();
    await audit.readToEnd();
    audit.beginWindow();
  }, 120_000);

  afterAll(async () => {
    await audit.stop();
    await stack.stop();
    await rm(folder, { recursive: true, force: true });
  }, 60_000);

  /** A part beside the stack, which must end by itself. */
  const wrong = async (
    part: (typeof parts)[number],
    settings: Readonly<Record<string, string>>,
    env: Readonly<Record<string, string>> = {},
  ): Promise<Ended> => {
    const started = await stack.startPart(part, `wrong-${part}`, settings, env);
    const timer = setTimeout(() => started.signal('SIGKILL'), 20_000);
    const code = await started.exited;
    clearTimeout(timer);
    return { code, output: started.output };
  };
  /** The line with which a part says why it gives up: exactly one. */
  const failureOf = ({ output }: Ended): Record<string, unknown> => {
    const said = output
      .split('\n')
      .filter((line) => line.includes('"part failed"'))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(said).toHaveLength(1);
    return said[0] ?? {};
  };

  test('unknown names in flags, environment and file are refused with the nearest one', async () => {
    const file = join(folder, 'settings.yaml');
    await writeFile(file, 'kafkaBroker: 127.0.0.1:1\n');
    const [flag, environment, inFile] = await Promise.all([
      runOnce(['ingest', '--kafka-broker', '127.0.0.1:1']),
      runOnce(['query-api'], { HOLDFAST_KAFKA_BROKER: '127.0.0.1:1' }),
      runOnce(['replicator', '--config', file]),
    ]);
    expect(flag.code).toBe(2);
    expect(flag.output).toMatch(/unknown option '--kafka-broker'\s+\(Did you mean --kafka-brokers\?\)/);
    expect(environment.code).toBe(2);
    expect(environment.output).toBe(
      'holdfast: SETTING_UNKNOWN: HOLDFAST_KAFKA_BROKER is not a setting; did you mean HOLDFAST_KAFKA_BROKERS?\n',
    );
    expect(inFile.code).toBe(2);
    expect(inFile.output).toBe(
      `holdfast: SETTING_UNKNOWN: kafkaBroker in ${file} is not a setting; did you mean kafkaBrokers?\n`,
    );
  }, 30_000);

  test('wrong types are all told at once, with what was expected; a literal secret is refused and not repeated', async () => {
    const ended = await runOnce(['ingest', '--slots', 'many', '--http-listen', 'nowhere', '--create-topics', 'maybe'], {
      HOLDFAST_KAFKA_SASL_PASSWORD: 'sesame',
    });
    expect(ended.code).toBe(2);
    expect(ended.output).toMatch(/^holdfast: SETTING_INVALID: /);
    for (const said of [
      /--slots: .*1 to 1024/,
      /--http-listen: expected host:port or :port/,
      /--create-topics: .*create missing topics/,
      /HOLDFAST_KAFKA_SASL_PASSWORD: expected a reference, file:PATH or env:NAME, not the secret/,
    ]) {
      expect(ended.output).toMatch(said);
    }
    expect(ended.output).not.toContain('sesame');
  }, 30_000);

  test('a port in use: every part names it and the way out', async () => {
    const taken = stack.http('ingest-1').replace('http://', '');
    const ended = await Promise.all([
      ...parts.map((part) => wrong(part, { httpListen: taken })),
      runOnce(['simulate', '--devices', '1', '--control-listen', taken, '--log-format', 'json']),
    ]);
    for (const one of ended) {
      expect(one.code).toBe(1);
      expect(failureOf(one)).toMatchObject({
        level: 'error',
        code: 'LISTEN_IN_USE',
        detail: `cannot listen on ${taken}: another process listens there; choose another address or port 0`,
      });
    }
  }, 60_000);

  test('topics with another partition count: every part names HOLDFAST_SLOTS', async () => {
    const ended = await Promise.all(parts.map((part) => wrong(part, { slots: String(slots + 1) })));
    for (const one of ended) {
      expect(one.code).toBe(1);
      const failure = failureOf(one);
      expect(failure).toMatchObject({ level: 'error', code: 'TOPIC_MISMATCH' });
      expect(failure['detail']).toContain(
        `topic ${kafka.prefix}telemetry has ${slots} partitions, ${slots + 1} are wanted: set HOLDFAST_SLOTS=${slots}`,
      );
    }
  }, 60_000);

  test('an instance id that is taken: the second process gives way, the first goes on', async () => {
    const ended = await Promise.all(parts.map((part) => wrong(part, { instanceId: `${part}-1` })));
    for (const [index, one] of ended.entries()) {
      const part = parts[index] ?? '';
      expect(one.code).toBe(1);
      const failure = failureOf(one);
      expect(failure).toMatchObject({ level: 'error', code: 'INSTANCE_ID_TAKEN' });
      expect(failure['detail']).toMatch(
        new RegExp(`another ${part} process at .* runs as instance ${part}-1: set HOLDFAST_INSTANCE_ID`),
      );
      expect((await fetch(`${stack.http(`${part}-1`)}/readyz`)).status).toBe(200);
    }
  }, 60_000);

  const ahead = (ms: number): Record<string, string> => ({
    NODE_OPTIONS: `--require ${join(repositoryRoot, 'test', 'support', 'shifted-clock.cjs')}`,
    TEST_CLOCK_AHEAD_MS: String(ms),
  });

  const owners = async (): Promise<(string | null)[]> => {
    const data = await stack.ownership();
    return data.slots.map(({ owner }) => owner);
  };

  test('a clock further ahead than the broker takes: the process ends and says why', async () => {
    const ended = await wrong('ingest', {}, ahead(7_200_000));
    expect(ended.code).toBe(1);
    const { code, detail } = failureOf(ended);
    expect(code).toBe('KAFKA_UNAVAILABLE');
    expect(detail).toMatch(/INVALID_TIMESTAMP.*clock.* over an hour apart: set them right \(NTP\)/);
    expect(new Set(await owners())).toEqual(new Set(['ingest-1']));
  }, 60_000);

  test('a listener beyond loopback warns that there is no authentication; one on loopback does not', async () => {
    // Only this machine reaches the IPv4-mapped form, but it is none of the texts that count as loopback.
    const open = '[::ffff:127.0.0.1]:0';
    const told = (logs: Record<string, unknown>[]): Record<string, unknown>[] =>
      logs.filter(({ msg }) => String(msg).startsWith('listener has no authentication yet'));
    const started = await Promise.all(
      parts.map((part) => stack.startPart(part, `open-${part}`, { httpListen: open, slots: String(slots + 1) })),
    );
    for (const one of started) {
      expect(await one.exited).toBe(1); // of the wrong slot count, after it began to listen
      expect(told(one.logs)).toEqual([expect.objectContaining({ level: 'warn', address: open })]);
    }
    for (const part of parts) expect(told(stack.process(`${part}-1`).logs)).toEqual([]);
  }, 60_000);

  test('the devices and the parts that ran before did not notice', async () => {
    await stack.synced(devices);
    await audit.readToEnd();
    expect(audit.markers.map(({ key, header }) => `${key} ${header.kind}`)).toEqual([]);
    expect(audit.devices.size).toBe(devices);
    expect(audit.totals()).toMatchObject({ missing: 0n, repeated: 0, outOfOrder: 0 });
    expect(audit).toMatchObject({ lowerEpochs: 0, seqHoles: 0 });
  }, 60_000);

  test('a clock an hour ahead: told by the process itself, the rest goes on', async () => {
    const started = await stack.startPart('ingest', 'ahead', {}, ahead(3_590_000));
    const told = await eventually('the warning', 20_000, () =>
      started.logs.find(({ msg }) => String(msg).startsWith('clock differs from that of another instance')),
    );
    expect(told['level']).toBe('warn');
    expect(told['msg']).toContain('set both right (NTP)');
    expect(Math.round(Number(told['aheadMs']) / 60_000)).toBe(60);
    await eventually('it holds a slot', 20_000, async () => (await owners()).includes('ahead'));
    await stack.synced(devices);
    await started.stop();
    await eventually('ingest-1 holds all again', 20_000, async () => {
      const all = await owners();
      return all.length === slots && all.every((owner) => owner === 'ingest-1');
    });
    await stack.synced(devices);
    await audit.readToEnd();
    expect(audit).toMatchObject({ lowerEpochs: 0, seqHoles: 0 }); // epochs grow, whatever the clocks say
  }, 60_000);
});
