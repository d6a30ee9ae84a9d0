import { systemClock } from '../../core/clock.ts';
import { type LogBatch } from '../../core/kafka/log-reader.ts';
import { type RecordKind, decodeHeader } from '../../schemas/position.ts';
import { type TestKafka } from './kafka.ts';
import { TelemetryFollower } from './telemetry-follower.ts';

/**
 * Follows `telemetry` and notes when slots change hands: the `owner` marker of each epoch, each device's `closed`, and its
 * first data record under a new epoch. Times are wall clock of this machine: when the writer appended (header), and when
 * we read it, which is later.
 */
export interface Seen {
  readonly slot: number;
  readonly key: string;
  readonly kind: RecordKind;
  readonly epoch: bigint;
  readonly appendedAtMs: number;
  readonly readAtMs: number;
}

export class HandoverWatch extends TelemetryFollower {
  /** Markers `owner` and `closed`, and the first data record of each device and epoch. */
  readonly seen: Seen[] = [];
  records = 0;
  readonly #heard = new Map<string, bigint>();

  constructor(kafka: TestKafka, slots: number) {
    super(kafka, slots, 'handover', { maxWaitMs: 100 });
  }

  /** The first record of that kind in a slot with an epoch above `epoch`. */
  ownerAfter(slot: number, epoch: bigint): Seen | undefined {
    return this.seen.find((entry) => entry.slot === slot && entry.kind === 'owner' && entry.epoch > epoch);
  }

  /** How many devices have been heard in these slots, under any epoch. */
  devicesOf(slots: readonly number[]): number {
    const keys = this.seen.filter(({ kind, slot }) => kind === 'data' && slots.includes(slot)).map(({ key }) => key);
    return new Set(keys).size;
  }

  /** From `closed` to the first data record under a higher epoch, per device that has both since `fromMs`. */
  silencesMs(fromMs: number): Map<string, number> {
    const closed = new Map<string, Seen>();
    const silences = new Map<string, number>();
    for (const entry of this.seen) {
      if (entry.appendedAtMs < fromMs) continue;
      if (entry.kind === 'closed') closed.set(entry.key, entry);
      const before = closed.get(entry.key);
      if (entry.kind !== 'data' || before === undefined || entry.epoch <= before.epoch) continue;
      silences.set(entry.key, Math.max(silences.get(entry.key) ?? 0, entry.appendedAtMs - before.appendedAtMs));
      closed.delete(entry.key);
    }
    return silences;
  }

  /** Devices that said `closed` since `fromMs` and nothing under a higher epoch yet. */
  silentDevices(fromMs: number): string[] {
    const closed = new Map<string, bigint>();
    for (const { kind, key, epoch, appendedAtMs } of this.seen) {
      if (appendedAtMs < fromMs) continue;
      if (kind === 'closed') closed.set(key, epoch);
      else if (kind === 'data' && epoch > (closed.get(key) ?? epoch)) closed.delete(key);
    }
    return [...closed.keys()];
  }

  protected override apply({ partition: slot, records }: LogBatch): void {
    const readAtMs = systemClock.nowMs();
    for (const { header: bytes, key: keyBytes } of records) {
      if (bytes === null || keyBytes === null) continue;
      const header = decodeHeader(bytes);
      this.records += 1;
      if (!this.notePosition(slot, header)) continue;
      const key = keyBytes.toString();
      if (header.kind === 'data' && this.#heard.get(key) === header.epoch) continue;
      if (header.kind === 'data') this.#heard.set(key, header.epoch);
      else if (header.kind !== 'owner' && header.kind !== 'closed') continue;
      const appendedAtMs = Number(header.receivedAtNs / 1_000n) / 1_000;
      this.seen.push({ slot, key, kind: header.kind, epoch: header.epoch, appendedAtMs, readAtMs });
    }
  }
}

export interface Distribution {
  readonly count: number;
  readonly median: number;
  readonly p99: number;
  readonly worst: number;
}

export function distributionOf(values: Iterable<number>): Distribution {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { count: sorted.length, median: at(0.5), p99: at(0.99), worst: sorted.at(-1) ?? 0 };
}

export function formatDistribution({ count, median, p99, worst }: Distribution): string {
  return `${count}: median ${median.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, worst ${worst.toFixed(1)} ms`;
}
