/**
 * `telemetry` and `state` read by parties that are not ours: Kafka's console consumer, a stock Protobuf deserializer that
 * knows only our registry routes and .proto files, and protoc. docs/interoperability.md records runs of all three.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type ConsoleRecord, readWithConsole } from '../support/console-consumer.ts';
import { hasTestKafka, testKafka } from '../support/kafka.ts';
import { repositoryRoot } from '../support/repository-root.ts';
import { Stack } from '../support/stack.ts';
import { stateEqualsTruth, truthOf } from '../support/state-audit.ts';
import { testJars } from '../support/test-cache.ts';

const devices = 4;
const slots = 4;
const protos = join(repositoryRoot, 'schemas', 'proto');

/** The header `hf`, read by the table in schemas/README.md and nothing else. */
interface Header {
  readonly version: number;
  readonly kind: number;
  readonly slot: number;
  readonly epoch: bigint;
  readonly seq: bigint;
  readonly receivedAtNs: bigint;
}

function headerOf(record: ConsoleRecord): Header {
  const bytes = record.headers.get('hf') ?? Buffer.alloc(0);
  expect(bytes.length).toBe(30);
  return {
    version: bytes.readUInt8(0),
    kind: bytes.readUInt8(1),
    slot: bytes.readUInt16BE(2),
    epoch: bytes.readBigUInt64BE(6),
    seq: bytes.readBigUInt64BE(14),
    receivedAtNs: bytes.readBigUInt64BE(22),
  };
}

/** Of several records with one key, the one of the highest position: what a reader of `state` has to keep. */
function latest<R>(records: readonly R[], keyOf: (record: R) => string, positionOf: (record: R) => [bigint, bigint]) {
  const kept = new Map<string, R>();
  for (const record of records) {
    const other = kept.get(keyOf(record));
    const [epoch, seq] = positionOf(record);
    const [otherEpoch, otherSeq] = other === undefined ? [0n, 0n] : positionOf(other);
    if (epoch > otherEpoch || (epoch === otherEpoch && seq >= otherSeq)) kept.set(keyOf(record), record);
  }
  return kept;
}

/** The 6 bytes before every message: 00, schema id, 00. */
function messageOf(record: ConsoleRecord): Buffer {
  const value = record.value ?? Buffer.alloc(0);
  expect([value[0], value[5]]).toEqual([0, 0]);
  expect(value.readInt32BE(1)).toBeGreaterThan(0);
  return value.subarray(6);
}

const python = process.env['TEST_PYTHON'] ?? 'python3';
const hasPython = spawnSync(python, ['-c', 'import confluent_kafka.schema_registry.protobuf, grpc_tools']).status === 0;
if (!hasPython) {
  process.stdout.write(
    'skipped: no Python with confluent-kafka[protobuf,schemaregistry] and grpcio-tools; TEST_PYTHON=/path/to/python reads with it\n',
  );
}

/** `PROTOC` may hold arguments, as in `python -m grpc_tools.protoc`. */
const [protoc = 'protoc', ...protocArguments] = (process.env['PROTOC'] ?? 'protoc').split(' ');
const hasProtoc = spawnSync(protoc, [...protocArguments, '--version']).status === 0;
if (!hasProtoc) process.stdout.write('skipped: protoc is not there; PROTOC=/path/to/protoc reads with it\n');

function decodeWithProtoc(message: string, file: string, bytes: Buffer): string {
  return execFileSync(protoc, [...protocArguments, `--proto_path=${protos}`, `--decode=${message}`, file], {
    input: bytes,
    encoding: 'utf8',
  });
}

interface PythonLine {
  readonly topic: 'telemetry' | 'state';
  readonly partition: number;
  readonly key: string;
  /** version, kind, slot, rpc, epoch, seq, receivedAt */
  readonly header: readonly [string, string, string, string, string, string, string];
  readonly message: string | null;
  readonly device?: string;
  readonly path?: string;
  readonly timestamp?: string;
  readonly sequence?: string;
  readonly value?: string | boolean | null;
}

const hasJava = spawnSync('java', ['-version']).status === 0;

(hasTestKafka ? describe : describe.skip)('readers that are not ours', () => {
  const kafka = testKafka();
  const stack = new Stack({ kafka, devices, rate: 5, updates: 5, ingest: 1, slots });
  let names: string[] = [];
  let jarsDir = '';

  beforeAll(async () => {
    if (hasJava) jarsDir = await testJars();
    await stack.start();
    await new Promise((resolve) => setTimeout(resolve, 2_000)); // something to read
    await stack.simulatorCall('POST', '/pause');
    await stateEqualsTruth(stack, 'query-api-1', 30_000);
    const { data } = (await stack.simulatorCall('GET', '/devices')) as { data: { devices: { name: string }[] } };
    names = data.devices.map(({ name }) => name).sort();
  }, 120_000);

  afterAll(() => stack.stop(), 60_000);

  const readTopic = (topic: string): Promise<ConsoleRecord[]> =>
    readWithConsole({ jarsDir, brokers: kafka.brokers, topic: `${kafka.prefix}${topic}` });

  (hasJava ? test : test.skip)(
    'Kafka’s console consumer sees the keys, the header and the frame that schemas/README.md promises',
    async () => {
      const [telemetry, state] = await Promise.all([readTopic('telemetry'), readTopic('state')]);
      process.stdout.write(`console consumer: ${telemetry.length} records of telemetry, ${state.length} of state\n`);
      checkTelemetry(telemetry, names);
      for (const name of names) {
        const leaves = latest(
          state.filter((record) => record.key?.toString().startsWith(`${name}|`)),
          (record) => record.key?.toString() ?? '',
          (record) => [headerOf(record).epoch, headerOf(record).seq],
        );
        const present = [...leaves].filter(([, record]) => record.value !== null).map(([key]) => key);
        const truth = await truthOf(stack, name);
        expect(present.sort()).toEqual([...truth.keys()].map((path) => `${name}|${path}`).sort());
      }
      for (const record of state) {
        expect(headerOf(record)).toMatchObject({ version: 1, slot: record.partition });
        if (record.value !== null) messageOf(record);
      }
      if (hasProtoc) checkWithProtoc(telemetry, state);
    },
    90_000,
  );

  (hasPython ? test : test.skip)(
    'a stock Protobuf deserializer reads every record through the registry routes, times and counters to the last digit',
    async () => {
      const script = join(repositoryRoot, 'test', 'support', 'read_with_confluent.py');
      const { stdout } = await promisify(execFile)(
        python,
        [script, kafka.brokers.join(','), stack.http('query-api-1'), kafka.prefix, protos],
        { maxBuffer: 256 * 1024 * 1024 },
      );
      const lines = stdout.trim().split('\n');
      const versions = lines.pop() ?? '';
      const records = lines.map((line) => JSON.parse(line) as PythonLine);
      const telemetry = records.filter((record) => record.topic === 'telemetry');
      const state = records.filter((record) => record.topic === 'state');
      process.stdout.write(
        `ProtobufDeserializer ${versions}: ${telemetry.length} records of telemetry, ${state.length} of state\n`,
      );
      const messages = new Set(telemetry.map((record) => record.message));
      expect(messages).toEqual(new Set(['gnmi.SubscribeResponse', 'holdfast.v1.Marker']));
      const leaves = latest(
        state.filter((record) => record.key !== '|slot'),
        (record) => record.key,
        ({ header }) => [BigInt(header[4]), BigInt(header[5])],
      );
      for (const name of names) await checkDecoded(stack, name, telemetry, [...leaves.values()]);
    },
    90_000,
  );
});

/** Keys, positions and frames of everything in `telemetry`. */
function checkTelemetry(telemetry: readonly ConsoleRecord[], names: readonly string[]): void {
  const seen = new Set<string>();
  const seqs = new Map<string, bigint>();
  for (const record of telemetry) {
    const { version, kind, slot, epoch, seq, receivedAtNs } = headerOf(record);
    const key = record.key?.toString() ?? '';
    expect([version, slot]).toEqual([1, record.partition]);
    expect([...record.headers.keys()]).toEqual(['hf']);
    expect(receivedAtNs).toBeGreaterThan(1_700_000_000_000_000_000n);
    if (kind === 5) expect(key).toBe(`slot/${slot}`);
    else seen.add(key);
    const before = seqs.get(`${slot}:${epoch}`) ?? 0n;
    expect(seq).toBe(before + 1n); // from 1 within an epoch, without holes
    seqs.set(`${slot}:${epoch}`, seq);
    messageOf(record);
  }
  expect([...seen].sort()).toEqual(names);
  expect(seqs.size).toBeGreaterThanOrEqual(slots);
}

/** protoc reads what stands behind the 6 bytes. */
function checkWithProtoc(telemetry: readonly ConsoleRecord[], state: readonly ConsoleRecord[]): void {
  const data = telemetry.findLast((record) => headerOf(record).kind === 0);
  const leaf = state.findLast((record) => record.value !== null && record.key?.toString().endsWith('/state/sequence'));
  if (data === undefined || leaf === undefined) throw new Error('nothing to decode');
  const response = decodeWithProtoc('gnmi.SubscribeResponse', 'gnmi/gnmi.proto', messageOf(data));
  expect(response).toMatch(/^update \{\n {2}timestamp: \d{19}\n/);
  const text = decodeWithProtoc('holdfast.v1.Leaf', 'holdfast/v1/leaf.proto', messageOf(leaf));
  const device = leaf.key?.toString().split('|')[0] ?? '';
  expect(text).toContain(`device: "${device}"\norigin: "openconfig"\npath: "/simulator/state/sequence"\n`);
  expect(text).toMatch(/value \{\n {2}uint_val: \d+\n\}\ntimestamp_ns: \d{19}\n/);
  process.stdout.write(`protoc --decode=holdfast.v1.Leaf:\n${text}`);
}

/** What the deserializer made of one device's records is what the device says of itself. */
async function checkDecoded(
  stack: Stack,
  name: string,
  telemetry: readonly PythonLine[],
  leaves: readonly PythonLine[],
): Promise<void> {
  const counted = telemetry.flatMap((record) => (record.key === name && record.sequence ? [record.sequence] : []));
  const first = BigInt(counted[0] ?? 0);
  expect(counted).toEqual(counted.map((_, index) => String(first + BigInt(index))));
  const truth = await truthOf(stack, name);
  const mine = leaves.filter((leaf) => leaf.device === name);
  expect(mine.map((leaf) => leaf.path).sort()).toEqual([...truth.keys()].sort());
  let compared = 0;
  for (const { path = '', timestamp, value } of mine) {
    const leaf = truth.get(path);
    expect({ path, timestamp }).toEqual({ path, timestamp: leaf?.timestamp });
    if (value === null) continue;
    expect({ path, value }).toEqual({ path, value: leaf?.value });
    compared++;
  }
  expect(compared).toBeGreaterThan(mine.length / 2);
}
