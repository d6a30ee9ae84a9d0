/**
 * Credit: how many bytes a session may have on their way to Kafka. Bytes are spent when a message is appended and come back
 * when the broker acknowledged the batch (accepted is not acked). A session without credit is paused, and HTTP/2 flow control
 * holds its device back; so memory is bounded by the budget plus one message and one window per device.
 *
 * C1. What was spent comes back exactly once: acked, or forfeited when the slot is lost.
 * C4. Markers and status records count too, though no session is paused for them: with Kafka away nothing here grows but
 *     by the budget, because nobody dials while it is used up.
 * C2. A paused session waits in a queue; the queue's head is resumed first, and goes to its end when it is paused again, so
 *     that no session starves behind busier ones.
 * C3. Only as many sessions are resumed at a time as there is room for: resuming all would fill the budget in one turn.
 */
export interface PauseSwitch {
  pause(): void;
  resume(): void;
}

/** What a resumed session is expected to read before its next ack: a few messages. */
const resumeShareBytes = 65_536;

export class UnackedBudget {
  readonly bytesMax: number;
  readonly #sessionBytesMax: number;
  readonly #paused = new Set<SessionCredit>(); // insertion order is the order of the queue
  readonly #roomWaiters = new Set<() => void>();
  #usedBytes = 0;

  constructor(options: { readonly bytesMax: number }) {
    this.bytesMax = options.bytesMax;
    this.#sessionBytesMax = Math.ceil(options.bytesMax / 8); // no single device takes more of it
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Nothing should begin now that would append more (C4). */
  get isFull(): boolean {
    return this.#usedBytes >= this.bytesMax;
  }

  get pausedSessions(): number {
    return this.#paused.size;
  }

  /** One per holding of a slot. */
  account(): SlotAccount {
    return new SlotAccount(this, this.#sessionBytesMax);
  }

  /**
   * Resolves when Kafka takes records again, as seen by the next ack, and half of the budget is free: a session opened then
   * will not be paused at once. At once where nothing is on its way.
   */
  room(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(signal.reason as Error);
    if (this.#usedBytes === 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#roomWaiters.delete(onRoom);
        signal.removeEventListener('abort', onAbort);
      };
      const onRoom = (): void => {
        leave();
        resolve();
      };
      const onAbort = (): void => {
        leave();
        reject(signal.reason as Error);
      };
      this.#roomWaiters.add(onRoom);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** For `SlotAccount` only. True: there is no room for more. */
  take(bytes: number): boolean {
    this.#usedBytes += bytes;
    return this.#usedBytes >= this.bytesMax;
  }

  /** For `SlotAccount` only. */
  giveBack(bytes: number): void {
    this.#usedBytes -= bytes;
    this.#resumePaused();
    if (this.#usedBytes <= this.bytesMax / 2) for (const wake of [...this.#roomWaiters]) wake();
  }

  /** For `SessionCredit` only. */
  enqueue(credit: SessionCredit): void {
    this.#paused.add(credit);
  }

  /** For `SessionCredit` only. */
  leave(credit: SessionCredit): void {
    this.#paused.delete(credit);
  }

  #resumePaused(): void {
    let roomBytes = this.bytesMax - this.#usedBytes;
    for (const credit of this.#paused) {
      if (roomBytes <= 0) return; // C3
      if (!credit.mayResume) continue;
      this.#paused.delete(credit); // C2
      roomBytes -= resumeShareBytes;
      credit.resumeNow();
    }
  }
}

/** What the sessions of one holding of a slot have on its way, those that ended included: a lost slot forfeits it as a whole. */
export class SlotAccount {
  readonly #budget: UnackedBudget;
  readonly #sessionBytesMax: number;
  #outstandingBytes = 0;
  #forfeited = false;

  constructor(budget: UnackedBudget, sessionBytesMax: number) {
    this.#budget = budget;
    this.#sessionBytesMax = sessionBytesMax;
  }

  get outstandingBytes(): number {
    return this.#outstandingBytes;
  }

  get isFull(): boolean {
    return this.#budget.isFull;
  }

  /** Bytes that belong to no session: markers, status (C4). */
  appended(bytes: number): void {
    this.take(bytes);
  }

  acked(bytes: number): void {
    this.giveBack(bytes);
  }

  /** Credit for one session; `close` it when the session ends. */
  open(session: PauseSwitch): SessionCredit {
    return new SessionCredit(this.#budget, this, session, this.#sessionBytesMax);
  }

  /** The slot is lost, nothing of it will be acked any more. Returns the bytes given up. */
  forfeit(): number {
    const bytes = this.#outstandingBytes;
    this.#forfeited = true;
    this.#outstandingBytes = 0;
    if (bytes > 0) this.#budget.giveBack(bytes);
    return bytes;
  }

  /** For `SessionCredit` only. */
  take(bytes: number): boolean {
    if (this.#forfeited) return false;
    this.#outstandingBytes += bytes;
    return this.#budget.take(bytes);
  }

  /** For `SessionCredit` only. */
  giveBack(bytes: number): void {
    if (this.#forfeited) return; // C1
    this.#outstandingBytes -= bytes;
    this.#budget.giveBack(bytes);
  }
}

export class SessionCredit {
  readonly #budget: UnackedBudget;
  readonly #account: SlotAccount;
  readonly #session: PauseSwitch;
  readonly #bytesMax: number;
  #outstandingBytes = 0;
  #outstandingSinceNs: bigint | null = null;
  /** Once so many more bytes are acked, everything received before `atNs` is: acks come in the order of appending. */
  #next: { bytes: number; readonly atNs: bigint } | null = null;
  #paused = false;
  #closed = false;

  constructor(budget: UnackedBudget, account: SlotAccount, session: PauseSwitch, bytesMax: number) {
    this.#budget = budget;
    this.#account = account;
    this.#session = session;
    this.#bytesMax = bytesMax;
  }

  get outstandingBytes(): number {
    return this.#outstandingBytes;
  }

  /** Receive time of a message before which everything is acked, at most two round trips old; `null`: everything is. */
  get outstandingSinceNs(): bigint | null {
    return this.#outstandingSinceNs;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** Half of the session's own share is free again. */
  get mayResume(): boolean {
    return this.#outstandingBytes <= this.#bytesMax / 2;
  }

  /** These bytes were appended. May pause the session before it returns. */
  spend(bytes: number, receivedAtNs: bigint): void {
    this.#outstandingSinceNs ??= receivedAtNs;
    this.#next ??= { bytes: this.#outstandingBytes, atNs: receivedAtNs };
    this.#outstandingBytes += bytes;
    const full = this.#account.take(bytes);
    if (this.#paused || this.#closed) return;
    if (full || this.#outstandingBytes >= this.#bytesMax) {
      this.#paused = true;
      this.#budget.enqueue(this);
      this.#session.pause();
    }
  }

  /** The broker has these bytes. May resume this or another session before it returns. */
  acked(bytes: number): void {
    this.#outstandingBytes -= bytes;
    if (this.#next !== null && (this.#next.bytes -= bytes) <= 0) {
      this.#outstandingSinceNs = this.#next.atNs;
      this.#next = null;
    }
    if (this.#outstandingBytes <= 0) {
      this.#outstandingSinceNs = null;
      this.#next = null;
    }
    this.#account.giveBack(bytes);
  }

  /** The session ended: it is neither paused nor resumed any more; what it spent still comes back by `acked`. */
  close(): void {
    this.#closed = true;
    this.#paused = false;
    this.#budget.leave(this);
  }

  /** For `UnackedBudget` only. */
  resumeNow(): void {
    this.#paused = false;
    this.#session.resume();
  }
}
