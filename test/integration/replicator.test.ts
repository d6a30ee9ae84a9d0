/**
 * The replicator on a real Kafka: telemetry written by another client than ours, `state` read back and compared with the
 * reference model, while the replicator is restarted, moved and killed.
 */
import { systemClock } from '../../core/clock.ts';
import { loadSettings } from '../../core/config.ts';
import { type KafkaOptions } from '../../core/kafka/connection.ts';
import { LogReader, type LogRecord } from '../../core/kafka/log-reader.ts';
import { startAll } from '../../core/lifecycle.ts';
import { silentLogger } from '../../core/logger.ts';
import { seededRandom, systemRandom } from '../../core/random.ts';
import { replicatorSettings } from '../../replicator/config.ts';
import { createReplicator } from '../../replicator/service.ts';
import { decodeFrame } from '../../schemas/frame.ts';
import { leafCodec } from '../../schemas/leaf.ts';
import { comparePositions, decodeHeader } from '../../schemas/position.ts';
import { referenceState } from '../replicator/reference-model.ts';
import { RandomTelemetry } from '../replicator/random-telemetry.ts';
import { eventually } from '../support/eventually.ts';
import { HoldfastProcess } from '../support/holdfast-process.ts';
import { hasTestKafka, testKafka } from '../support/kafka.ts';
import { PlainProducer } from '../support/plain-producer.ts';

const describeKafka = hasTestKafka ? describe : describe.skip;
const slots = 2;
// Short, so that a killed member is missed soon; the bounds between them are those of every deployment.
const timers = { sessionTimeoutMs: '2000', heartbeatMs: '200', leaseGuardMs: '200', rebalanceTimeoutMs: '6000' };

describeKafka('replicator on Kafka', () => {
  const { brokers, prefix } = testKafka();
  const kafka: KafkaOptions = { brokers, clientId: 'test', logger: silentLogger, clock: systemClock };
  const producer = new PlainProducer(brokers);
  const telemetry = Array.from({ length: slots }, (_, slot) => new RandomTelemetry(slot, slots));
  const stops: (() => Promise<void>)[] = [];

  beforeAll(() => producer.open());
  afterAll(async () => {
    for (const stop of stops) await stop();
    await producer.close();
  });

  const flags = (instanceId: string): Record<string, string> => ({
    ...timers,
    instanceId,
    kafkaBrokers: brokers.join(','),
    topicPrefix: prefix,
    slots: String(slots),
    replicationFactor: '1',
    httpListen: '127.0.0.1:0',
    logLevel: 'warn',
    logFormat: 'json',
  });

  /** A replicator in this process; the function returned stops it cleanly. */
  const startReplicator = async (instanceId: string): Promise<() => Promise<void>> => {
    const { values } = loadSettings(replicatorSettings, {
      flags: flags(instanceId),
      env: {},
      knownElsewhere: new Set(),
    });
    const { components } = createReplicator(values, {
      clock: systemClock,
      random: systemRandom,
      logger: silentLogger,
      env: {},
      version: 'test',
      onFatal: (error) => {
        throw error;
      },
    });
    const stopAll = await startAll(components, silentLogger, AbortSignal.timeout(30_000));
    stops.push(stopAll);
    return stopAll;
  };

  const startProcess = (instanceId: string): HoldfastProcess => {
    const args = Object.entries(flags(instanceId)).flatMap(([name, value]) => [
      `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
      value,
    ]);
    const child = new HoldfastProcess(instanceId, ['replicator', ...args]);
    stops.push(() => child.stop());
    return child;
  };

  /** Writes random telemetry to every slot. */
  const talk = async (steps: number): Promise<void> => {
    for (const { slot, log, say } of telemetry) {
      const from = log.records.length;
      say(steps);
      const records = log.records.slice(from);
      for (let at = 0; at < records.length; at += 50) {
        const batch = records.slice(at, at + 50).map(({ key, value, header, timestampMs }) => ({
          key,
          value,
          timestampMs,
          headers: { hf: header! },
        }));
        await producer.send(`${prefix}telemetry`, slot, batch);
      }
    }
  };

  const readState = async (slot: number): Promise<LogRecord[]> => {
    const records: LogRecord[] = [];
    const reader = new LogReader({
      kafka,
      name: 'audit',
      onBatch: (batch) => void records.push(...batch.records),
      clock: systemClock,
      logger: silentLogger,
    });
    const signal = AbortSignal.timeout(10_000);
    reader.assign(`${prefix}state`, slot, 'earliest');
    await reader.start(signal);
    await reader.caughtUp(`${prefix}state`, slot, signal).finally(() => reader.stop());
    return records;
  };

  /** Waits until `state` says that it is complete up to the end of telemetry, then compares it. */
  const expectTruth = async (): Promise<void> => {
    for (const { slot, log } of telemetry) {
      const records = await eventually(`state of slot ${slot} is complete`, 20_000, async () => {
        const read = await readState(slot);
        const marker = read.findLast((record) => record.key?.toString() === '|slot');
        if (marker === undefined) return undefined;
        const position = decodeHeader(marker.header!);
        return position.epoch === log.last.epoch && position.seq === log.last.seq ? read : undefined;
      });
      const truth = referenceState(log.records);
      expect(truth.size).toBeGreaterThan(0);
      expect(leavesOf(records)).toEqual(truth);
      expectOrder(records);
    }
  };

  test('state is the truth, is so after a clean restart in the middle, and a second one writes nothing again', async () => {
    const stopFirst = await startReplicator('replicator-1');
    await talk(200);
    await expectTruth();
    const talking = talk(400);
    await stopFirst();
    await talking;
    const stopSecond = await startReplicator('replicator-2');
    await expectTruth();
    await stopSecond();
    const before = await readState(0);
    const stopThird = await startReplicator('replicator-3');
    await eventually('taken over', 20_000, async () => (await readState(0)).length > before.length + 2);
    const written = (await readState(0)).slice(before.length);
    expect(new Set(written.map((record) => record.key?.toString()))).toEqual(new Set(['|slot']));
    await stopThird();
  }, 90_000);

  test('two replicators share the slots; one goes, the other has all', async () => {
    const stopFirst = await startReplicator('replicator-a');
    const stopSecond = await startReplicator('replicator-b');
    await talk(100);
    await expectTruth();
    await stopFirst();
    await talk(100);
    await expectTruth();
    await stopSecond();
  }, 90_000);

  test('killed at any moment, its successor ends with the truth', async () => {
    const random = seededRandom(11);
    for (let life = 0; life < 3; life += 1) {
      const child = startProcess(`replicator-k${life}`);
      await eventually('it writes', 30_000, async () => {
        const markers = (await readState(0)).filter((record) => record.key?.toString() === '|slot');
        return markers.some((record) => record.value?.includes(`replicator-k${life}`) === true);
      });
      const talking = talk(2_000);
      await new Promise((resolve) => setTimeout(resolve, random.next() * 400));
      await child.kill(); // while records arrive
      await talking;
    }
    const stop = await startReplicator('replicator-last');
    await expectTruth();
    await stop();
  }, 150_000);
});

/** As a reader of the compacted topic has them: per key the last record. */
function leavesOf(records: readonly LogRecord[]): Map<string, string> {
  const leaves = new Map<string, string>();
  for (const { key, value } of records) {
    const text = key!.toString();
    if (text === '|slot') continue;
    if (value === null) leaves.delete(text);
    else {
      const leaf = leafCodec.decode(decodeFrame(value).message);
      leaves.set(text, `${leaf.timestampNs} ${leaf.value.toString('hex')}`);
    }
  }
  return leaves;
}

/** Per key positions never go back, and one position never says two things. */
function expectOrder(records: readonly LogRecord[]): void {
  const last = new Map<string, LogRecord>();
  for (const record of records) {
    const key = record.key!.toString();
    const before = last.get(key);
    last.set(key, record);
    if (before === undefined || key === '|slot') continue;
    const order = comparePositions(decodeHeader(before.header!), decodeHeader(record.header!));
    if (order > 0) throw new Error(`${key} went back`);
    if (order === 0) expect(record.value).toEqual(before.value);
  }
}
