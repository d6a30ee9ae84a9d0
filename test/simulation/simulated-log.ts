import { type Placement, type Plan, type SlotOwnership } from '../../schemas/ownership.ts';
import { type Slot } from '../../schemas/slot.ts';
import { type Random } from '../../core/random.ts';
import { type OwnershipListener, type OwnershipLog, type Wish } from '../../core/kafka/ownership-log.ts';
import { OwnershipView } from '../../core/kafka/ownership-view.ts';
import { type WriterRecord } from '../../core/kafka/slot-host.ts';
import { type Path } from './simulated-coordinator.ts';
import { type ProcessClock, type VirtualTime } from './virtual-time.ts';

/** The topic `ownership` of the simulated cluster: records in the order in which they were appended, whoever wrote them. */
export type OwnershipEntry =
  | { readonly key: string; readonly slot: SlotOwnership }
  | { readonly key: string; readonly plan: Plan }
  | { readonly key: string; readonly drain: string; readonly placement: Placement | null }
  | { readonly key: string; readonly place: Slot; readonly placement: Placement | null };

interface Stored {
  readonly offset: number;
  readonly entry: OwnershipEntry;
}

export class OwnershipTopic {
  /** Nothing is appended before that: the partition has no leader. */
  awayUntilMs = 0;
  #entries: Stored[] = [];
  #end = 0;
  readonly #followers = new Set<() => void>();

  get end(): number {
    return this.#end;
  }

  append(entry: OwnershipEntry): void {
    this.#entries.push({ offset: this.#end, entry });
    this.#end += 1;
    for (const wake of this.#followers) wake();
  }

  from(offset: number): readonly Stored[] {
    let low = 0;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#entries[middle]!.offset < offset) low = middle + 1;
      else high = middle;
    }
    return this.#entries.slice(low);
  }

  /** Of each key the last record stays, be it the best one or not. */
  compact(): void {
    const last = new Map(this.#entries.map(({ offset, entry }) => [entry.key, offset]));
    this.#entries = this.#entries.filter(({ offset, entry }) => last.get(entry.key) === offset);
  }

  follow(wake: () => void): () => void {
    this.#followers.add(wake);
    return () => this.#followers.delete(wake);
  }
}

const records = new WeakMap<Buffer, SlotOwnership>();

/** The record behind the bytes that a fenced writer carries. */
export function ownershipRecordOf(value: Buffer): SlotOwnership {
  const record = records.get(value);
  if (record === undefined) throw new Error('not made by recordOf');
  return record;
}

const retryMs = 300;
const pollMs = 500;

/** The port `OwnershipLog` of one simulated process. */
export class SimulatedOwnershipLog implements OwnershipLog {
  readonly view = new OwnershipView();
  readonly #time: VirtualTime;
  readonly #clock: ProcessClock;
  readonly #topic: OwnershipTopic;
  readonly #path: Path;
  readonly #random: Random;
  #listener: OwnershipListener | null = null;
  #next = 0;
  #pulling = false;
  #again = false;
  #stopped = false;
  readonly #ends: { readonly end: number; readonly resolve: () => void }[] = [];
  #unfollow: () => void = () => undefined;

  constructor(options: {
    readonly time: VirtualTime;
    readonly clock: ProcessClock;
    readonly topic: OwnershipTopic;
    readonly path: Path;
    readonly random: Random;
  }) {
    this.#time = options.time;
    this.#clock = options.clock;
    this.#topic = options.topic;
    this.#path = options.path;
    this.#random = options.random;
  }

  start(listener: OwnershipListener, signal: AbortSignal): Promise<void> {
    this.#listener = listener;
    this.#unfollow = this.#topic.follow(() => this.#pull());
    return this.readToEnd(signal);
  }

  stop(): Promise<void> {
    this.end();
    return Promise.resolve();
  }

  /** Also when the process is killed. */
  end(): void {
    this.#stopped = true;
    this.#unfollow();
  }

  readToEnd(_signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      this.#ends.push({ end: this.#topic.end, resolve });
      this.#pull();
    });
  }

  reconnect(): void {
    this.#path.readerStalls = false; // another connection
    this.#pull();
  }

  writeSlot(record: SlotOwnership): Promise<void> {
    return this.#write({ key: `slot/${record.slot}`, slot: record });
  }

  writePlan(plan: Plan): Promise<void> {
    return this.#write({ key: 'plan', plan });
  }

  withdraw(wish: Wish): Promise<void> {
    return this.#write(
      wish.kind === 'drain'
        ? { key: `drain/${wish.instance}`, drain: wish.instance, placement: null }
        : { key: `place/${wish.slot}`, place: wish.slot, placement: null },
    );
  }

  recordOf(record: SlotOwnership): { readonly topic: string; readonly record: WriterRecord } {
    const value = Buffer.alloc(1);
    records.set(value, record);
    return { topic: 'ownership', record: { key: value, value, header: null, timestampMs: 0 } };
  }

  /** Appended once or more often: an answer that vanished is asked for again. */
  #write(entry: OwnershipEntry): Promise<void> {
    return new Promise((resolve) => {
      const attempt = (): void => {
        if (this.#stopped || this.#clock.isDead) return;
        const again = (): void => void this.#clock.after(retryMs, attempt);
        if (this.#path.cutOut || this.#lost()) {
          again();
          return;
        }
        this.#time.after(this.#path.latencyMs(), () => {
          const away = this.#time.nowMs < this.#topic.awayUntilMs;
          if (!away) this.#topic.append(entry);
          if (away || this.#path.cutIn || this.#lost()) this.#clock.deliver(again);
          else this.#time.after(this.#path.latencyMs(), () => this.#clock.deliver(resolve));
        });
      };
      attempt();
    });
  }

  #lost(): boolean {
    return this.#path.loss > 0 && this.#random.next() < this.#path.loss;
  }

  /** One fetch at a time, of everything up to its arrival. */
  #pull(): void {
    if (this.#pulling) {
      this.#again = true;
      return;
    }
    if (this.#stopped || this.#clock.isDead) return;
    this.#pulling = true;
    this.#again = false;
    const done = (): void => {
      this.#pulling = false;
      if (this.#again) this.#pull();
    };
    const cut = this.#path.cutOut || this.#path.cutIn || this.#path.readerStalls;
    if (cut || this.#time.nowMs < this.#topic.awayUntilMs) {
      this.#time.after(pollMs, () => {
        this.#again = true;
        done();
      });
      return;
    }
    this.#time.after(this.#path.latencyMs(), () => {
      const fetched = this.#topic.from(this.#next);
      const end = this.#topic.end;
      this.#time.after(this.#path.latencyMs(), () =>
        this.#clock.deliver(() => {
          if (this.#stopped) return;
          for (const { entry } of fetched) this.#apply(entry);
          this.#next = Math.max(this.#next, end);
          for (const waiting of this.#ends.splice(0)) {
            if (waiting.end <= this.#next) waiting.resolve();
            else this.#ends.push(waiting);
          }
          if (this.#ends.length > 0) this.#again = true;
          done();
        }),
      );
    });
  }

  #apply(entry: OwnershipEntry): void {
    const listener = this.#listener;
    if ('slot' in entry) {
      const applied = this.view.applySlot(entry.slot);
      if (applied === 'changed') listener?.slotChanged(entry.slot);
      const best = this.view.slot(entry.slot.slot);
      if (applied === 'lower' && best !== null) listener?.slotLowered(best);
    } else if ('plan' in entry) {
      const applied = this.view.applyPlan(entry.plan);
      if (applied === 'changed') listener?.planChanged(entry.plan);
      if (applied === 'lower' && this.view.plan !== null) listener?.planLowered(this.view.plan);
    } else {
      if ('drain' in entry) this.view.applyDrain(entry.drain, entry.placement);
      else this.view.applyPlace(entry.place, entry.placement);
      listener?.wishesChanged();
    }
  }
}
