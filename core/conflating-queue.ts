/**
 * A queue for a reader that may be slower than the changes: a newer value of a key takes the place of the one that still
 * waits, and says how many it stands for. The reader sees fewer steps but always the truth.
 *
 *   put ──▶ [ entry, entry, … ] ──▶ take        one entry per key and seal; `merge` decides which values may become one
 *
 * A key is two parts, of what it is and which: both are strings that there are anyway, where one made of them would be
 * another hundred bytes an entry.
 *
 * Q1. Nothing vanishes silently: delivered + merged + abandoned + length = produced, after every call.
 * Q2. Entries of one key leave in the order in which they were made: only the newest one of a key merges.
 * Q3. What was sealed merges no more: whoever encodes an entry, or has counted it, finds it as it was.
 * Q4. At most `limit` entries. A full queue still merges; a value that needs a new entry is refused ('full') and was not
 *     produced: what becomes of it is the caller's decision.
 * Q5. Every call takes the same time however many entries there are, but `clear`, which forgets them all.
 */
export interface Taken<K, V> {
  readonly of: string;
  readonly key: K;
  readonly value: V;
  /** How many older values this one stands for beside itself. */
  readonly merged: number;
}

export interface ConflatingQueueOptions<V> {
  /** Entries at most. */
  readonly limit: number;
  /**
   * Where a merged entry stands. `first`: where its first value was put, so that a leaf that changes all the time is not
   * put off for ever. `last`: at the end, so that entries stand in the order of their newest values.
   */
  readonly place: 'first' | 'last';
  /** The one value for both; null: these two may not merge, and a new entry is made. */
  readonly merge: (queued: V, incoming: V) => V | null;
}

export type Put = 'queued' | 'merged' | 'full';

class Entry<K, V> implements Taken<K, V> {
  readonly of: string;
  readonly key: K;
  value: V;
  merged = 0;
  /** The seal that it was made under. */
  readonly seals: number;
  previous: Entry<K, V> | null = null;
  next: Entry<K, V> | null = null;

  constructor(of: string, key: K, value: V, seals: number) {
    this.of = of;
    this.key = key;
    this.value = value;
    this.seals = seals;
  }
}

export class ConflatingQueue<K, V> {
  readonly #options: ConflatingQueueOptions<V>;
  /** The newest entry of each key, by its parts. */
  readonly #newest = new Map<string, Map<K, Entry<K, V>>>();
  #head: Entry<K, V> | null = null;
  #tail: Entry<K, V> | null = null;
  #seals = 0;
  #length = 0;
  #produced = 0;
  #delivered = 0;
  #merged = 0;
  #abandoned = 0;

  constructor(options: ConflatingQueueOptions<V>) {
    this.#options = options;
  }

  put(of: string, key: K, value: V): Put {
    const newest = this.#find(of, key);
    if (newest !== undefined && newest.seals === this.#seals) {
      const one = this.#options.merge(newest.value, value); // Q2
      if (one !== null) {
        newest.value = one;
        newest.merged += 1;
        this.#merged += 1;
        this.#produced += 1;
        if (this.#options.place === 'last' && newest !== this.#tail) {
          this.#unlink(newest);
          this.#append(newest);
        }
        return 'merged';
      }
    }
    if (this.#length >= this.#options.limit) return 'full'; // Q4
    const entry = new Entry(of, key, value, this.#seals);
    this.#note(entry);
    this.#append(entry);
    this.#length += 1;
    this.#produced += 1;
    return 'queued';
  }

  /** Whether `put` would find an entry to merge with: such a value needs no room. */
  wouldMerge(of: string, key: K, value: V): boolean {
    const newest = this.#find(of, key);
    return newest?.seals === this.#seals && this.#options.merge(newest.value, value) !== null;
  }

  /** What is in now merges no more (Q3). */
  seal(): void {
    this.#seals += 1;
  }

  /** The entry that `take` would return; while it is not sealed a later `put` may change it. */
  peek(): Taken<K, V> | undefined {
    return this.#head ?? undefined;
  }

  take(): Taken<K, V> | undefined {
    const head = this.#head;
    if (head === null) return undefined;
    this.#unlink(head);
    if (this.#find(head.of, head.key) === head) this.#forget(head);
    this.#length -= 1;
    this.#delivered += 1;
    return head;
  }

  /** The newest entry of a key. */
  find(of: string, key: K): Taken<K, V> | undefined {
    return this.#find(of, key);
  }

  /** The newest entry of a key, out of its turn: what goes with it is being delivered. */
  takeKey(of: string, key: K): Taken<K, V> | undefined {
    const entry = this.#find(of, key);
    if (entry === undefined) return undefined;
    this.#unlink(entry);
    this.#forget(entry);
    this.#length -= 1;
    this.#delivered += 1;
    return entry;
  }

  /** Lets everything go; returns how many entries that were. They count as abandoned. */
  clear(): number {
    const abandoned = this.#length;
    this.#newest.clear();
    this.#head = null;
    this.#tail = null;
    this.#length = 0;
    this.#abandoned += abandoned;
    return abandoned;
  }

  get length(): number {
    return this.#length;
  }

  /** Values that were taken in. */
  get produced(): number {
    return this.#produced;
  }

  /** Entries that left by `take`. */
  get delivered(): number {
    return this.#delivered;
  }

  /** Values that another one stands for, or stood for when it was let go. */
  get merged(): number {
    return this.#merged;
  }

  /** Entries that were let go by `clear`. */
  get abandoned(): number {
    return this.#abandoned;
  }

  #find(of: string, key: K): Entry<K, V> | undefined {
    return this.#newest.get(of)?.get(key);
  }

  #note(entry: Entry<K, V>): void {
    const newest = this.#newest.get(entry.of);
    if (newest === undefined) this.#newest.set(entry.of, new Map([[entry.key, entry]]));
    else newest.set(entry.key, entry);
  }

  #forget({ of, key }: Entry<K, V>): void {
    const newest = this.#newest.get(of);
    newest?.delete(key);
    if (newest?.size === 0) this.#newest.delete(of);
  }

  #append(entry: Entry<K, V>): void {
    entry.previous = this.#tail;
    if (this.#tail === null) this.#head = entry;
    else this.#tail.next = entry;
    this.#tail = entry;
  }

  #unlink(entry: Entry<K, V>): void {
    const { previous, next } = entry;
    if (previous === null) this.#head = next;
    else previous.next = next;
    if (next === null) this.#tail = previous;
    else next.previous = previous;
    entry.previous = null;
    entry.next = null;
  }
}
