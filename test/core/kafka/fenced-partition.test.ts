import { expect, test } from '@jest/globals';
import { type HoldfastError } from '../../../core/errors.ts';
import { KafkaError } from '../../../core/kafka/errors.ts';
import { FencedPartition, type PartitionOwner } from '../../../core/kafka/fenced-partition.ts';
import {
  noProduceCounters,
  type ProduceBatch,
  type ProduceCounters,
  type ProduceDispatcher,
} from '../../../core/kafka/produce-dispatcher.ts';
import { decodeBatches, decodeRecords } from '../../../core/kafka/record-batch.ts';

/** The answer table, with the broker's answers spoken by the test; the real broker's are in test/integration. */
const counters: ProduceCounters = { ...noProduceCounters };

interface Sent {
  readonly batch: ProduceBatch;
  readonly sequence: number;
  readonly texts: readonly string[];
}

class Scene {
  readonly rests: number[] = [];
  readonly refused: boolean[] = [];
  readonly fatal: HoldfastError[] = [];
  readonly acks: number[] = [];
  identity: { producerId: bigint; producerEpoch: number } | null = { producerId: 7n, producerEpoch: 0 };
  live = true;
  quiet = 0;
  readonly partition: FencedPartition;

  constructor(refused: PartitionOwner['refused'] = () => 'go-on', batchBytesMax = 1) {
    const dispatcher: Pick<ProduceDispatcher, 'ready' | 'rest' | 'forget' | 'counters'> = {
      counters: { ...counters },
      ready: () => undefined,
      forget: () => undefined,
      rest: (_source, delayMs) => this.rests.push(delayMs),
    };
    this.partition = new FencedPartition({
      topic: 't',
      partition: 0,
      batchBytesMax, // 1: every record is a batch of its own
      compressor: null,
      dispatcher: dispatcher as ProduceDispatcher,
      random: { next: () => 0.5 },
      owner: {
        identity: () => this.identity,
        mayPublish: () => this.live,
        producerRefused: (fenced) => this.refused.push(fenced),
        quiet: () => (this.quiet += 1),
        ackedSome: () => undefined,
        fatal: (error) => this.fatal.push(error),
        refused,
      },
    });
  }

  append(...texts: string[]): { tickets: Promise<void>[] } {
    const tickets = texts.map((text) => {
      const record = { key: null, prefix: null, value: Buffer.from(text), header: null, timestampMs: 1 };
      return this.partition.append([record], { acked: (bytes) => this.acks.push(bytes) }).acked;
    });
    return { tickets };
  }

  /** Takes what may be sent now. */
  send(): Sent[] {
    const sent: Sent[] = [];
    for (let batch = this.partition.take(); batch !== null; batch = this.partition.take()) {
      const [encoded] = decodeBatches(Buffer.from(batch.bytes));
      const records = decodeRecords(encoded!);
      if (records instanceof Promise) throw new Error('not compressed');
      sent.push({ batch, sequence: encoded!.baseSequence, texts: records.map(({ value }) => value!.toString()) });
    }
    return sent;
  }

  /** A producer that the broker knows: its first batch is acked. */
  known(): this {
    this.append('first');
    answer(this.send(), 0);
    return this;
  }
}

function answer(sent: readonly Sent[], ...codes: readonly number[]): void {
  sent.forEach(({ batch }, index) =>
    batch.answered({ topic: 't', partition: 0, code: codes[index] ?? codes.at(-1) ?? 0, baseOffset: 0n }),
  );
}

const plan = (sent: readonly Sent[]): [string, number][] =>
  sent.map(({ texts, sequence }) => [texts.join('+'), sequence]);
const lostAnswer = new KafkaError('transport', 'CONNECTION', 'cut');

test('P3: one batch until the first ack of a producer epoch, then five', () => {
  const scene = new Scene();
  scene.append('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h');
  const first = scene.send();
  expect(plan(first)).toEqual([['a', 0]]);
  answer(first, 0);
  const next = scene.send();
  expect(plan(next)).toEqual([
    ['b', 1],
    ['c', 2],
    ['d', 3],
    ['e', 4],
    ['f', 5],
  ]);
  answer(next.slice(0, 2), 0);
  expect(plan(scene.send())).toEqual([
    ['g', 6],
    ['h', 7],
  ]);
});

test('P1, P2, P4: after a lost answer nothing is sent until all are lost, then all again with their sequences', () => {
  const scene = new Scene().known();
  scene.append('a', 'b', 'c');
  const [a, b, c] = scene.send();
  a!.batch.lost(lostAnswer);
  expect(scene.send()).toEqual([]);
  b!.batch.lost(lostAnswer);
  expect(scene.send()).toEqual([]);
  c!.batch.lost(lostAnswer);
  const again = scene.send();
  expect(plan(again)).toEqual([
    ['a', 1],
    ['b', 2],
    ['c', 3],
  ]);
  answer(again, 46); // DUPLICATE_SEQUENCE_NUMBER: it was appended the first time
  expect(scene.acks).toEqual([5, 1, 1, 1]);
  expect(scene.partition.unackedBytes).toBe(0);
});

const retried: readonly [code: number, name: string, slow: boolean][] = [
  [3, 'UNKNOWN_TOPIC_OR_PARTITION', false],
  [5, 'LEADER_NOT_AVAILABLE', false],
  [6, 'NOT_LEADER_OR_FOLLOWER', false],
  [7, 'REQUEST_TIMED_OUT', false],
  [19, 'NOT_ENOUGH_REPLICAS', true],
  [20, 'NOT_ENOUGH_REPLICAS_AFTER_APPEND', true],
  [56, 'KAFKA_STORAGE_ERROR', true],
];

test.each(retried)('%i %s: again in order, after a rest', (code, _name, slow) => {
  const scene = new Scene().known();
  scene.append('a', 'b');
  answer(scene.send(), code, 45); // what stands behind it is refused as out of order
  expect(scene.rests).toHaveLength(1);
  if (slow) expect(scene.rests[0]).toBeGreaterThanOrEqual(500);
  else expect(scene.rests[0]).toBeLessThan(100);
  expect(scene.refused).toEqual([]);
  expect(plan(scene.send())).toEqual([
    ['a', 1],
    ['b', 2],
  ]);
});

test.each([
  [45, 'OUT_OF_ORDER_SEQUENCE_NUMBER', false],
  [59, 'UNKNOWN_PRODUCER_ID', false],
  [47, 'INVALID_PRODUCER_EPOCH', true],
  [90, 'PRODUCER_FENCED', true],
])('%i %s for the first unacked batch: a new producer id, sequence 0, the same records', (code, _name, fenced) => {
  const scene = new Scene().known();
  scene.append('a', 'b');
  answer(scene.send(), code);
  expect(scene.refused[0]).toBe(fenced);
  scene.identity = null;
  expect(scene.send()).toEqual([]);
  scene.identity = { producerId: 7n, producerEpoch: 1 };
  scene.partition.restart();
  const first = scene.send();
  expect(plan(first)).toEqual([['a', 0]]);
  answer(first, 0);
  expect(plan(scene.send())).toEqual([['b', 1]]);
});

test('45 behind a batch without an answer waits for that one', () => {
  const scene = new Scene().known();
  scene.append('a', 'b');
  const [a, b] = scene.send();
  answer([b!], 45);
  expect(scene.refused).toEqual([]);
  expect(scene.send()).toEqual([]);
  answer([a!], 0);
  expect(plan(scene.send())).toEqual([['b', 2]]);
});

test('an ack that overtakes the first one’s failure is not an ack', () => {
  const scene = new Scene().known();
  scene.append('a', 'b');
  const [a, b] = scene.send();
  answer([b!], 0);
  a!.batch.lost(lostAnswer);
  expect(plan(scene.send())).toEqual([
    ['a', 1],
    ['b', 2],
  ]);
});

test.each([10, 18, 87])('%i: a record refused for what it is leaves its sequence to its replacement', async (code) => {
  const scene = new Scene(() => ({
    key: null,
    prefix: null,
    value: Buffer.from('gap'),
    header: null,
    timestampMs: 1,
  })).known();
  const { tickets } = scene.append('a', 'b');
  answer(scene.send(), code, 45);
  await turn();
  const again = scene.send();
  expect(plan(again)).toEqual([
    ['gap', 1],
    ['b', 2],
  ]);
  answer(again, 0);
  await Promise.all(tickets);
  expect(scene.acks).toEqual([5, 1, 1]);
});

test('P5: a batch that arrives damaged is sent again as it is; damaged twice, its content is to blame', async () => {
  const scene = new Scene().known();
  const { tickets } = scene.append('a', 'b');
  answer(scene.send(), 2, 45);
  await turn();
  const again = scene.send();
  expect(plan(again)).toEqual([
    ['a', 1],
    ['b', 2],
  ]);
  answer(again, 2, 45);
  await turn();
  expect(plan(scene.send())).toEqual([['b', 1]]);
  await tickets[0];
});

test('P5: a record left out rejects its ticket, gives its bytes back, and holds up nothing', async () => {
  const scene = new Scene(() => 'reject').known();
  const { tickets } = scene.append('a', 'b');
  answer(scene.send(), 10, 45);
  await turn();
  await expect(tickets[0]).rejects.toMatchObject({ code: 'MESSAGE_TOO_LARGE' });
  const again = scene.send();
  expect(plan(again)).toEqual([['b', 1]]);
  answer(again, 0);
  await tickets[1];
  expect(scene.partition.unackedBytes).toBe(0);
  expect(scene.acks).toEqual([5, 1, 1]);
  expect(scene.refused).toEqual([]);
});

test('P6: with a batch of unknown outcome behind it, a record is left out only together with a new producer epoch', async () => {
  const scene = new Scene(() => 'reject').known();
  scene.append('a', 'b');
  const [a, b] = scene.send();
  answer([a!], 10);
  b!.batch.lost(lostAnswer); // a copy may still be under way, with the sequence that `c` would get
  await turn();
  expect(scene.refused).toEqual([false]);
  scene.partition.restart();
  expect(plan(scene.send())).toEqual([['b', 0]]);
});

test('an ack listener that throws takes nothing from the others of its batch', () => {
  const scene = new Scene(undefined, 1_000);
  const record = { key: null, prefix: null, value: Buffer.from('a'), header: null, timestampMs: 1 };
  scene.partition.append([record], {
    acked: () => {
      throw new Error('a bug');
    },
  });
  scene.append('bb');
  const sent = scene.send();
  expect(plan(sent)).toEqual([['a+bb', 0]]);
  expect(() => answer(sent, 0)).toThrow('a bug');
  expect(scene.acks).toEqual([2]);
});

test('a replacement that is refused as well is left out, and so is a record without one', async () => {
  const scene = new Scene(() => ({
    key: null,
    prefix: null,
    value: Buffer.from('gap'),
    header: null,
    timestampMs: 1,
  })).known();
  const { tickets } = scene.append('a', 'b');
  answer(scene.send(), 10, 45);
  await turn();
  answer(scene.send(), 10, 45);
  await turn();
  const again = scene.send();
  expect(plan(again)).toEqual([['b', 1]]);
  answer(again, 0);
  await expect(tickets[0]).rejects.toThrow('MESSAGE_TOO_LARGE');
  await tickets[1];
});

test.each([
  [29, 'KAFKA_DENIED', 'grant Describe, Read and Write on the topic'],
  [53, 'KAFKA_DENIED', 'transactional id'],
  [76, 'KAFKA_UNAVAILABLE', 'UNSUPPORTED_COMPRESSION_TYPE'],
  [32, 'KAFKA_UNAVAILABLE', 'INVALID_TIMESTAMP'],
])('%i is fatal and says what is missing', (code, named, words) => {
  const scene = new Scene().known();
  scene.append('a');
  answer(scene.send(), code);
  expect(scene.fatal).toHaveLength(1);
  expect(scene.fatal[0]).toMatchObject({ code: named });
  expect(scene.fatal[0]!.message).toContain(words);
});

test('W2: nothing is sent, and no batch sealed, while the lease does not stand', () => {
  const scene = new Scene().known();
  scene.append('a');
  scene.live = false;
  expect(scene.send()).toEqual([]);
  expect(scene.rests).toEqual([50]);
  scene.live = true;
  expect(plan(scene.send())).toEqual([['a', 1]]);
});

test('W4: quiet is said when the last batch under way is answered, however it is answered', () => {
  const scene = new Scene().known();
  scene.append('a', 'b');
  const before = scene.quiet;
  const [a, b] = scene.send();
  answer([a!], 0);
  expect(scene.quiet).toBe(before);
  answer([b!], 0);
  expect(scene.quiet).toBe(before + 1);
});

test('the end discards what was never sent, counts it, and ignores late answers', async () => {
  const scene = new Scene().known();
  const { tickets } = scene.append('a', 'b', 'c', 'd', 'e', 'f', 'g');
  const sent = scene.send();
  expect(sent).toHaveLength(5);
  expect(scene.partition.end(new Error('gone'))).toBe(2);
  expect(scene.partition.end(new Error('again'))).toBe(0);
  answer(sent, 0);
  expect(scene.acks).toEqual([5]);
  for (const acked of tickets) await expect(acked).rejects.toThrow('gone');
  expect(scene.send()).toEqual([]);
});

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
