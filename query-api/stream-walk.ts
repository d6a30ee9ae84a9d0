/**
 * The state that a stream begins with: its devices one after another, in the order of their names, each in parts that
 * take no long turn.
 *
 * SW1. The listener is registered before the walk. A change of what is still to be walked is not sent, the walk brings it;
 *      a change of what was walked is. So nothing is lost, sent twice or overtaken, whatever changes meanwhile.
 * SW2. A slot is whole when every device of it was walked to its end.
 */
import { type Slot } from '../schemas/slot.ts';
import { type LeafChange } from './state-feed.ts';
import { type StreamFilter } from './stream-filter.ts';
import { type LeafView } from './store.ts';

/** 2,000 leaves are read and formatted in about 5 ms: other requests wait no longer for a device of a million. */
const leavesPerPart = 2_000;

export class StreamWalk {
  readonly #filter: StreamFilter;
  /** By device: the key up to which it was walked; '' for one that is untouched. */
  readonly #waiting = new Map<string, string>();
  readonly #left = new Map<Slot, number>();

  constructor(filter: StreamFilter) {
    this.#filter = filter;
  }

  /** From their beginnings, also those that are being walked: they may have left meanwhile, and what changed then is unsaid. */
  add(devices: readonly string[]): void {
    for (const device of devices) {
      const slot = this.#filter.slotOf(device);
      const isWaiting = this.#waiting.has(device);
      this.#waiting.set(device, '');
      if (isWaiting) continue;
      this.#left.set(slot, (this.#left.get(slot) ?? 0) + 1);
    }
  }

  /** SW2. */
  isWhole(slot: Slot): boolean {
    return !this.#left.has(slot);
  }

  get isOver(): boolean {
    return this.#waiting.size === 0;
  }

  /** SW1. Hot: once per change of the stream while it walks. */
  brings({ device, key }: LeafChange): boolean {
    if (this.#waiting.size === 0) return false;
    const after = this.#waiting.get(device);
    return after !== undefined && key > after;
  }

  /** The leaves of the next part, walked in this turn; undefined: no device of a slot that `mayWalk` is left. */
  next(mayWalk: (slot: Slot) => boolean): { slot: Slot; leaves: readonly LeafView[] } | undefined {
    for (const [device, after] of this.#waiting) {
      const slot = this.#filter.slotOf(device);
      if (!mayWalk(slot)) continue;
      const leaves = this.#filter.leaves(device, after, leavesPerPart);
      const last = leaves.at(-1);
      if (last !== undefined && leaves.length === leavesPerPart) this.#waiting.set(device, last.key);
      else this.#walked(device, slot);
      return { slot, leaves };
    }
    return undefined;
  }

  #walked(device: string, slot: Slot): void {
    this.#waiting.delete(device);
    const left = (this.#left.get(slot) ?? 0) - 1;
    if (left > 0) this.#left.set(slot, left);
    else this.#left.delete(slot);
  }

  clear(): void {
    this.#waiting.clear();
    this.#left.clear();
  }
}
