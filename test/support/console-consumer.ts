import { execFile, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

/** Kafka's own console consumer, a reader that knows nothing of Holdfast: what it sees of a topic from its beginning. */
export interface ConsoleRecord {
  readonly partition: number;
  readonly offset: bigint;
  readonly headers: ReadonlyMap<string, Buffer>;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
}

export interface ConsoleTopic {
  /** Of `kafkaJars()`. */
  readonly jarsDir: string;
  readonly brokers: readonly string[];
  readonly topic: string;
}

const printed = ['partition', 'offset', 'headers', 'key', 'value'];
/** Prints bytes as ASCII, what is not printable and `\` as `\xHH`: the lines say every byte. */
const deserializer = 'org.apache.kafka.common.serialization.BytesDeserializer';
/** Cannot stand in what the deserializer prints. */
const separator = '\u0001';
const withinMs = 60_000;

/** Everything up to the ends the partitions have at the call. */
export async function readWithConsole(at: ConsoleTopic): Promise<ConsoleRecord[]> {
  const missing = await endOffsets(at);
  const records: ConsoleRecord[] = [];
  if (missing.size === 0) return records;
  const properties = [
    ...printed.map((part) => `print.${part}=true`),
    ...['key', 'value', 'headers'].map((part) => `${part}.deserializer=${deserializer}`),
    'null.literal=(null)',
    `headers.separator=${separator}`,
  ];
  const consumer = spawn(
    'java',
    javaArguments(at, 'org.apache.kafka.tools.consumer.ConsoleConsumer', [
      '--from-beginning',
      ...properties.flatMap((property) => ['--formatter-property', property]),
    ]),
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  const ended = new Promise((resolve) => consumer.once('close', resolve));
  const tooLong = setTimeout(() => consumer.kill(), withinMs);
  for await (const line of createInterface({ input: consumer.stdout.setEncoding('latin1') })) {
    const record = recordOf(line);
    records.push(record);
    if (record.offset + 1n >= (missing.get(record.partition) ?? 0n)) missing.delete(record.partition);
    if (missing.size === 0) consumer.kill(); // it would wait for more
  }
  clearTimeout(tooLong);
  await ended;
  if (missing.size > 0) throw new Error(`the console consumer did not reach the end of ${[...missing.keys()].join()}`);
  return records;
}

/** End offset of every partition that holds anything. */
async function endOffsets(at: ConsoleTopic): Promise<Map<number, bigint>> {
  const { stdout } = await promisify(execFile)('java', javaArguments(at, 'org.apache.kafka.tools.GetOffsetShell', []));
  const ends = stdout.split('\n').filter((line) => line.startsWith(`${at.topic}:`));
  return new Map(
    ends
      .map((line) => line.split(':').slice(-2))
      .map(([partition, end]) => [Number(partition), BigInt(end ?? 0)] as const)
      .filter(([, end]) => end > 0n),
  );
}

function javaArguments(
  { jarsDir, brokers, topic }: ConsoleTopic,
  mainClass: string,
  more: readonly string[],
): string[] {
  const jvm = ['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-cp', join(jarsDir, '*')];
  return [...jvm, mainClass, '--bootstrap-server', brokers.join(','), '--topic', topic, ...more];
}

function recordOf(line: string): ConsoleRecord {
  const [partition = '', offset = '', headers = '', key = '', value = ''] = line.split('\t');
  const named = headers === 'NO_HEADERS' ? [] : headers.split(separator).map((header) => header.split(':'));
  return {
    partition: Number(partition.slice('Partition:'.length)),
    offset: BigInt(offset.slice('Offset:'.length)),
    headers: new Map(named.map(([name = '', ...rest]) => [name, bytesOf(rest.join(':')) ?? Buffer.alloc(0)])),
    key: bytesOf(key),
    value: bytesOf(value),
  };
}

function bytesOf(text: string): Buffer | null {
  if (text === '(null)') return null;
  const bytes = text.replace(/\\x([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1');
}
