import { systemClock } from '../../core/clock.ts';
import { Producer, type ProducerRecord } from '../../core/kafka/producer.ts';
import { type Random, seededRandom } from '../../core/random.ts';
import { encodeFrame } from '../../schemas/frame.ts';
import { leafCodec } from '../../schemas/leaf.ts';
import { emptyMarker, markerCodec } from '../../schemas/marker.ts';
import { encodeHeader, type RecordKind } from '../../schemas/position.ts';
import { slotOf } from '../../schemas/slot.ts';
import { leafKey, slotMarkerKey, topicOf } from '../../schemas/topics.ts';
import { encodeTypedValue } from '../../schemas/value.ts';
import { type TestKafka } from './kafka.ts';
import { kafkaFor } from './lock-member.ts';

/**
 * Feeds the topic `state` as a replicator would, at a rate of its own, and knows the truth about it. Every leaf counts its
 * own operations: the n-th sets the leaf to n or deletes it, so a reader can tell from a value alone what it missed.
 *
 * One telemetry record is one position and one Kafka batch holds it whole: some leaves of one device, now and then the
 * sweep after a resync, which deletes half of a device at once.
 */
export interface StateSourceOptions {
  readonly kafka: TestKafka;
  readonly slots: number;
  readonly devices: number;
  readonly leavesPerDevice: number;
  /** Of a device's leaves the first so many are SAMPLE. */
  readonly sampledPerDevice: number;
  readonly seed: number;
  /** Deletes and sweeps among the operations. */
  readonly deletes: boolean;
}

export const firstEpoch = 1_795_000_000_000n;
const leavesPerPosition = 20;
const source = { instance: 'source', incarnation: 'source' };

export class SourceLeaf {
  readonly device: string;
  readonly path: string;
  readonly key: Buffer;
  readonly sampled: boolean;
  /** Operations so far; the value of the last one, if it was no delete. */
  operations = 0;
  isThere = false;
  /** Numbers of the operations that were deletes. */
  readonly deletes = new Set<number>();

  constructor(device: string, path: string, sampled: boolean) {
    this.device = device;
    this.path = path;
    this.key = Buffer.from(leafKey(device, 'openconfig', path));
    this.sampled = sampled;
  }
}

export function sourceDevice(index: number): string {
  return `src-${index + 1}`;
}

export class StateSource {
  readonly leaves: readonly (readonly SourceLeaf[])[];
  /** Leaf operations written and acked. */
  written = 0;
  readonly #options: StateSourceOptions;
  readonly #producer: Producer;
  readonly #random: Random;
  readonly #topic: string;
  readonly #seqs: bigint[];
  readonly #slotsOfDevices: readonly number[];
  #epoch = firstEpoch;

  constructor(options: StateSourceOptions) {
    const { kafka, slots, devices, leavesPerDevice, sampledPerDevice, seed } = options;
    this.#options = options;
    this.#topic = topicOf(kafka.prefix, 'state');
    this.#producer = new Producer({ kafka: kafkaFor(kafka.brokers, 'state-source') });
    this.#random = seededRandom(seed);
    this.#seqs = Array.from({ length: slots }, () => 0n);
    this.#slotsOfDevices = Array.from({ length: devices }, (_, index) => slotOf(sourceDevice(index), slots));
    this.leaves = Array.from({ length: devices }, (_, device) =>
      Array.from(
        { length: leavesPerDevice },
        (_unused, leaf) =>
          new SourceLeaf(
            sourceDevice(device),
            `/interfaces/interface[name=et-0/0/${leaf % 50}]/state/counters/c${Math.floor(leaf / 50)}`,
            leaf < sampledPerDevice,
          ),
      ),
    );
  }

  start(): Promise<void> {
    return this.#producer.start(new AbortController().signal);
  }

  stop(): Promise<void> {
    return this.#producer.stop();
  }

  /** Every leaf of every device once, then every slot is said to be complete. */
  async fill(): Promise<void> {
    const { slots } = this.#options;
    for (let slot = 0; slot < slots; slot += 1) {
      let batch: ProducerRecord[] = [];
      for (const [device, leaves] of this.leaves.entries()) {
        if (this.#slotsOfDevices[device] !== slot) continue;
        batch.push(...this.#position(slot, leaves, false));
        if (batch.length < 4_000) continue;
        await this.#send(slot, batch);
        batch = [];
      }
      if (batch.length > 0) await this.#send(slot, batch);
    }
    await this.mark();
  }

  /** About `count` operations on random leaves of random devices, in as many batches as there are slots. */
  async step(count: number): Promise<void> {
    const bySlot = new Map<number, ProducerRecord[]>();
    for (let left = count; left > 0; left -= leavesPerPosition) {
      const device = Math.floor(this.#random.next() * this.leaves.length);
      const slot = this.#slotsOfDevices[device]!;
      const batch = bySlot.get(slot) ?? [];
      bySlot.set(slot, batch);
      batch.push(...this.#randomPosition(slot, this.leaves[device]!));
    }
    await Promise.all([...bySlot].map(([slot, batch]) => this.#send(slot, batch)));
  }

  /** `|slot` of every slot: complete up to here, nothing behind. Once a second, as a replicator does. */
  async mark(lagMs = 0): Promise<void> {
    await Promise.all(this.#seqs.map((_, slot) => this.#producer.send(this.#topic, slot, [this.#marker(slot, lagMs)])));
  }

  /** Steps of 20 ms until `operations` more are written; resolves to the operations per second that it came to. */
  async run(operations: number, perSecond: number, signal = new AbortController().signal): Promise<number> {
    const startedMs = systemClock.monotonicMs();
    const before = this.written;
    let markedMs = startedMs;
    while (this.written - before < operations && !signal.aborted) {
      const nowMs = systemClock.monotonicMs();
      const due = Math.floor(((nowMs - startedMs) / 1_000) * perSecond) - (this.written - before);
      if (due >= leavesPerPosition) await this.step(Math.min(due, 10_000));
      else await systemClock.sleep(2);
      if (nowMs - markedMs < 1_000) continue;
      markedMs = nowMs;
      await this.mark();
    }
    await this.mark();
    return ((this.written - before) / (systemClock.monotonicMs() - startedMs)) * 1_000;
  }

  /** As one that has nothing to write, until `other` has settled. */
  async idle(other: Promise<unknown>): Promise<void> {
    const over = other.then(
      () => true,
      () => true,
    );
    do await this.mark();
    while (!(await Promise.race([over, systemClock.sleep(1_000)])));
  }

  /** A new owner of every slot: epochs go on, seq begins again. */
  nextEpoch(): void {
    this.#epoch += 1_000n;
    this.#seqs.fill(0n);
  }

  #randomPosition(slot: number, leaves: readonly SourceLeaf[]): ProducerRecord[] {
    if (this.#options.deletes && this.#random.next() < 0.002) {
      const half = leaves.filter((leaf) => leaf.isThere && this.#random.next() < 0.5);
      if (half.length > 0) return this.#position(slot, half, true);
    }
    const from = Math.floor(this.#random.next() * leaves.length);
    const some = Array.from({ length: leavesPerPosition }, (_, n) => leaves[(from + n) % leaves.length]!);
    return this.#position(slot, [...new Set(some)], false);
  }

  /** One position: each leaf is set to its next number, or deleted. */
  #position(slot: number, leaves: readonly SourceLeaf[], isSweep: boolean): ProducerRecord[] {
    const seq = (this.#seqs[slot] ?? 0n) + 1n;
    this.#seqs[slot] = seq;
    const receivedAtNs = systemClock.nowNs();
    const kind: RecordKind = isSweep ? 'synced' : 'data';
    const header = encodeHeader({ kind, slot, rpc: 0, epoch: this.#epoch, seq, receivedAtNs });
    return leaves.map((leaf) => {
      leaf.operations += 1;
      const isDelete = isSweep || (this.#options.deletes && leaf.isThere && this.#random.next() < 0.02);
      leaf.isThere = !isDelete;
      if (!isDelete) return { key: leaf.key, value: this.#valueOf(leaf, receivedAtNs), header };
      leaf.deletes.add(leaf.operations);
      return { key: leaf.key, value: null, header };
    });
  }

  #valueOf({ device, path, sampled, operations }: SourceLeaf, timestampNs: bigint): Buffer {
    const value = encodeTypedValue({ kind: 'uint', value: BigInt(operations) });
    const leaf = { device, origin: 'openconfig', path, value, timestampNs, atomicRoot: '', sampled };
    return encodeFrame(1, leafCodec.encode(leaf));
  }

  #marker(slot: number, lagMs: number): ProducerRecord {
    const header = encodeHeader({
      kind: 'owner',
      slot,
      rpc: 0,
      epoch: this.#epoch,
      seq: this.#seqs[slot] ?? 0n,
      receivedAtNs: systemClock.nowNs(),
    });
    const marker = markerCodec.encode({ ...emptyMarker('owner'), ...source, lagMs });
    return { key: Buffer.from(slotMarkerKey), value: encodeFrame(2, marker), header };
  }

  async #send(slot: number, batch: readonly ProducerRecord[]): Promise<void> {
    await this.#producer.send(this.#topic, slot, batch);
    this.written += batch.length;
  }
}
