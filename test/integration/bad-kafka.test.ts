/**
 * Kafka that refuses: a message over the broker's limit costs that message and is marked; a full disk stops the broker, is
 * said at once, and everything goes on by itself when there is room again.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { EmbeddedKafka } from '../../cli/embedded-kafka.ts';
import { systemClock } from '../../core/clock.ts';
import { KafkaConnection } from '../../core/kafka/connection.ts';
import { silentLogger } from '../../core/logger.ts';
import { markerCodec } from '../../schemas/marker.ts';
import { eventually } from '../support/eventually.ts';
import { testKafka } from '../support/kafka.ts';
import { Stack } from '../support/stack.ts';
import { stateEqualsTruth } from '../support/state-audit.ts';
import { TelemetryAudit } from '../support/telemetry-audit.ts';
import { testJars } from '../support/test-cache.ts';

const slots = 2;
const devices = 3;
const mebibyte = 1_048_576;
const { signal } = new AbortController();
const run = promisify(execFile);

/** Until nothing fits any more. */
const fill = async (file: string): Promise<void> => {
  const block = Buffer.alloc(mebibyte / 4);
  for (;;) {
    try {
      await appendFile(file, block);
    } catch {
      return;
    }
  }
};

const stateIsTrue = async (stack: Stack): Promise<void> => {
  await stack.simulatorCall('POST', '/pause');
  await stateEqualsTruth(stack, 'query-api-1', 30_000);
  await stack.simulatorCall('POST', '/resume');
};

describe('a message over the limit of the topic', () => {
  const kafka = testKafka();
  const settings = { compression: 'none' };
  const stack = new Stack({ kafka, devices, rate: 10, updates: 5, ingest: 1, slots: 1, settings });
  const audit = new TelemetryAudit(kafka, 1);
  const limitBytes = 300_000;

  beforeAll(async () => {
    const options = { brokers: kafka.brokers, clientId: 'test', logger: silentLogger, clock: systemClock };
    const connection = new KafkaConnection(options, { name: 'test', requestTimeoutMs: 15_000 });
    await connection.connect(signal);
    const configs = { 'cleanup.policy': 'delete', 'max.message.bytes': String(limitBytes) };
    const topic = `${kafka.prefix}telemetry`;
    await connection.createTopics([{ topic, partitions: 1, replicationFactor: 1, configs }]);
    connection.destroy();
    await stack.start();
    await audit.start();
    await audit.readToEnd();
    audit.beginWindow();
  }, 120_000);

  afterAll(async () => {
    await audit.stop();
    await stack.stop();
  }, 60_000);

  test('is told at the start: the limit differs from what the settings call for', () => {
    expect(stack.process('ingest-1').logs).toContainEqual(
      expect.objectContaining({
        topic: `${kafka.prefix}telemetry`,
        key: 'max.message.bytes',
        found: String(limitBytes),
        msg: 'topic setting differs',
      }),
    );
  });

  test('becomes a gap marker in its place, counted and told in the status; everything else goes on', async () => {
    await stack.simulatorCall('POST', '/devices/sim-1/fault', { kind: 'huge', bytes: mebibyte });
    const gap = await eventually('the gap marker', 20_000, async () => {
      await audit.readToEnd();
      return audit.markers.find(({ header }) => header.kind === 'gap');
    });
    expect(gap.key).toBe('sim-1');
    const marker = markerCodec.decode(gap.message);
    expect(marker).toMatchObject({ device: 'sim-1', reason: 'refused', lost: 1n });
    expect(marker.detail).toMatch(
      /^Kafka refused a record of 10486\d\d bytes; compare maxMessageBytes with the limits of topic and broker$/,
    );
    const metrics = await (await fetch(`${stack.http('ingest-1')}/metrics`)).text();
    expect(metrics).toMatch(/holdfast_ingest_messages_discarded_total\{reason="refused"\} 1\n/);
    const status = await eventually('the status', 10_000, async () => {
      const device = (await stack.api().call('GET', '/api/v1/devices/sim-1')) as { status: { code: string | null } };
      return device.status.code !== null && device.status;
    });
    expect(status).toMatchObject({ state: 'synced', code: 'MESSAGE_TOO_LARGE', detail: marker.detail });

    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await audit.readToEnd();
    expect(audit.markers).toHaveLength(1);
    expect(audit.devices.size).toBe(devices);
    expect(audit.totals()).toMatchObject({ missing: 0n, repeated: 0, outOfOrder: 0 });
    expect(audit).toMatchObject({ lowerEpochs: 0, seqHoles: 0 });
    await stateIsTrue(stack);
  }, 60_000);
});

describe('a full disk at the broker', () => {
  let folder = '';
  let mounted = false;
  let kafka: EmbeddedKafka | undefined;
  let stack: Stack | undefined;
  let audit: TelemetryAudit | undefined;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'holdfast-full-disk-'));
    try {
      await run('mount', ['-t', 'tmpfs', '-o', 'size=96m', 'tmpfs', folder]);
      mounted = true;
    } catch {
      process.stdout.write('skipped: the full disk at the broker, because mounting a tmpfs is not permitted here\n');
      return;
    }
    const jarsDir = await testJars();
    kafka = new EmbeddedKafka({ jarsDir, dataDir: join(folder, 'kafka'), nodes: 1, clock: systemClock });
    await kafka.start(signal);
    const at = { brokers: kafka.brokers, prefix: 'full.' };
    stack = new Stack({ kafka: at, devices, rate: 20, updates: 20, ingest: 1, slots });
    await stack.start();
    audit = new TelemetryAudit(at, slots);
    await audit.start();
    await audit.readToEnd();
  }, 120_000);

  afterAll(async () => {
    await audit?.stop();
    await stack?.stop();
    await kafka?.stop();
    if (mounted) await run('umount', ['--lazy', folder]);
    await rm(folder, { recursive: true, force: true });
  }, 60_000);

  test('is said at once by every part; with room again all goes on, and what could not be kept is marked', async () => {
    if (kafka === undefined || stack === undefined || audit === undefined) return; // said above
    const filler = join(folder, 'filler');
    await fill(filler);
    const parts = ['ingest-1', 'replicator-1', 'query-api-1'];
    const ready = (): Promise<number[]> =>
      Promise.all(parts.map(async (part) => (await fetch(`${stack?.http(part) ?? ''}/readyz`)).status));
    await eventually('every part says that Kafka does not take records', 20_000, async () => {
      const states = await ready();
      if (states.some((status) => status !== 503)) throw new Error(states.join(' '));
      return true;
    });
    const cluster = (await stack.api().call('GET', '/api/v1/cluster')) as { kafka: string };
    expect(cluster.kafka).not.toBe('ok');
    for (const part of parts) {
      const kafkaIsAway = stack
        .process(part)
        .logs.some(({ level, msg }) => level === 'warn' && /kafka/i.test(String(msg)));
      expect({ part, kafkaIsAway }).toEqual({ part, kafkaIsAway: true });
    }
    const remedy = /kafka does not answer.*look at the brokers, their disks/;
    expect(stack.process('ingest-1').output).toMatch(remedy);
    await kafka.stopNode(1, 'SIGKILL'); // it has ended by itself, or serves nothing
    await rm(filler);
    await kafka.startNode(1, signal);
    await eventually('every part is ready again', 60_000, async () => {
      const states = await ready();
      if (states.some((status) => status !== 200)) throw new Error(states.join(' '));
      return true;
    });
    await stack.synced(devices, 60_000);
    await audit.readToEnd();
    expect(audit).toMatchObject({ lowerEpochs: 0, seqHoles: 0 }); // what was taken, was taken without a hole
    audit.beginWindow();
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await audit.readToEnd();
    expect(audit.totals()).toMatchObject({ missing: 0n, repeated: 0, outOfOrder: 0 });
    await stateIsTrue(stack);
  }, 180_000);
});
