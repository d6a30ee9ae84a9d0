import { type Clock } from '../core/clock.ts';
import { HoldfastError } from '../core/errors.ts';
import { WireScanner } from '../schemas/wire-scanner.ts';
import { type StatusGap } from './device-status.ts';
import { GapMarks } from './gap-marks.ts';
import { type IngestMetrics } from './metrics.ts';
import { type SessionCredit, type SlotAccount } from './session-credit.ts';
import { type SessionWatch, type Watched } from './session-watch.ts';
import { type DeviceLog, type Ticket } from './slot-writer.ts';
import { type DeviceOffer, decodeOffer, type PlannedRpc, type RpcPlan } from './subscription-plan.ts';
import {
  type DeviceConnection,
  type DeviceFailure,
  type DeviceTransport,
  type DialTarget,
  type RpcEnd,
  type SubscribeCall,
} from './transport.ts';

/**
 * One attempt's life with one device: dial, Capabilities, Subscribe, sync, end. A session knows one cycle and says why it
 * ended; the supervisor alone decides what follows.
 *
 * S1. Every message is appended as received, in the order of its RPC, and only while the lease is live (L3). While it is not
 *     (for a moment after a stall, or until the slot is dropped) nothing more is read and what came is held.
 * S2. `opened` precedes the first record of the session, `closed` follows the last; a session that heard nothing has neither.
 * S3. `synced` is appended once, after every RPC has said `sync_response: true` (S11, S12 of gnmi.md).
 * S4. Nothing is appended after `close` or `drop` has returned, and the connection is gone with them.
 * S5. What was given up is marked: a message that cannot be kept is a `gap`, a session that Kafka held up too long a `closed`;
 *     for one whose lease stayed away the supervisor writes the `closed` when it is back.
 * S6. A connection that was prepared may have died unnoticed: a device that says nothing is asked for its Capabilities again,
 *     and has as long for it as for a dial.
 */
export type SessionOutcome =
  /** Dialling or the stream failed. Nothing was ever `heard`: another address may do better. */
  | { readonly kind: 'failed'; readonly failure: DeviceFailure; readonly heard: boolean; readonly uptimeMs: number }
  /** The device ended the stream with OK: redial. */
  | { readonly kind: 'ended'; readonly uptimeMs: number }
  /** Paused longer than allowed: redial when Kafka takes records again. */
  | { readonly kind: 'overload'; readonly pausedMs: number; readonly uptimeMs: number }
  /** We wanted it so. */
  | { readonly kind: 'closed' }
  /** The slot is lost, or its lease did not come back: sockets were destroyed, nothing was said. */
  | { readonly kind: 'dropped'; readonly heard: boolean };

export type CloseReason = 'removed' | 'changed' | 'moved' | 'drain';

/** What the supervisor hears while the session lives. */
export interface SessionObserver {
  onOffer(offer: DeviceOffer): void;
  /** The dial is over, well or badly. */
  onDialled(): void;
  /** The first message came (T18). */
  onConnected(): void;
  onSynced(): void;
  onGap(gap: StatusGap): void;
  /** Something odd that costs nothing: a deprecated error, an empty response. */
  onOddity(what: string): void;
}

export interface SessionLimits {
  readonly dialTimeoutMs: number;
  readonly syncTimeoutMs: number;
  /** 0: no limit. */
  readonly receiveTimeoutMs: number;
  readonly maxPauseMs: number;
}

/** What sessions of a process share. */
export interface SessionContext {
  readonly transport: DeviceTransport;
  readonly watch: SessionWatch;
  readonly clock: Clock;
  readonly metrics: IngestMetrics;
  readonly leaseLive: () => boolean;
}

export interface SessionOptions {
  readonly log: DeviceLog;
  readonly account: SlotAccount;
  readonly limits: SessionLimits;
  /** Reads the secrets; may throw `HoldfastError` `CREDENTIALS_INVALID`. */
  readonly dialTarget: () => DialTarget;
  /** Decides the RPCs once the device's offer is known; `null`: it answered no Capabilities. */
  readonly planRpcs: (offer: DeviceOffer | null) => RpcPlan;
  readonly observer: SessionObserver;
}

/** A device that is there says something sooner than this, more often than not. */
const signOfLifeMs = 1_000;

type Phase = 'dialling' | 'subscribed' | 'connected' | 'synced' | 'ended';

/** One per process: scanning is synchronous and keeps nothing between messages. */
const scanner = new WireScanner();

export class Session implements Watched {
  readonly #context: SessionContext;
  readonly #options: SessionOptions;
  readonly #credit: SessionCredit;
  readonly #gaps: GapMarks;
  readonly #calls: SubscribeCall[] = [];
  readonly #unsynced = new Set<number>();
  readonly outcome: Promise<SessionOutcome>;
  #resolve: (outcome: SessionOutcome) => void = () => undefined;
  #phase: Phase = 'dialling';
  #connection: DeviceConnection | null = null;
  #rpcs: readonly PlannedRpc[] = [];
  #address = '';
  #startedAtMs: number;
  /** S6 */
  #alive: 'known' | 'assumed' | 'asked' = 'known';
  #openedAtMs: number | null = null;
  #lastMessageAtMs = 0;
  /** Without credit since; bounded by `maxPauseMs`. */
  #pausedAtMs: number | null = null;
  readonly #pauses = new Set<'credit' | 'lease'>();
  /** What came while the lease was not live (S1): at most the one message in hand per RPC. */
  #held: (() => void)[] = [];
  #heldAtMs = 0;

  constructor(context: SessionContext, options: SessionOptions) {
    this.#context = context;
    this.#options = options;
    this.#startedAtMs = context.clock.monotonicMs();
    this.#credit = options.account.open({ pause: () => this.#pause(), resume: () => this.#resume() });
    this.#gaps = new GapMarks({
      log: options.log,
      clock: context.clock,
      mayMark: () => !options.account.isFull,
      onMarked: ({ reason, ...gap }) => {
        const code = reason === 'too-large' ? 'MESSAGE_TOO_LARGE' : 'MESSAGE_MALFORMED';
        options.observer.onGap({ code, ...gap });
      },
    });
    this.outcome = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  /** Dials. Never rejects: `outcome` says how it ended. */
  start(): void {
    this.#context.watch.add(this);
    this.#startedAtMs = this.#context.clock.monotonicMs();
    this.#dial().catch((thrown: unknown) => {
      const failure: DeviceFailure =
        thrown instanceof HoldfastError && thrown.code === 'CREDENTIALS_INVALID'
          ? { code: 'CREDENTIALS_INVALID', detail: thrown.message, retry: 'soon' }
          : { code: 'UNREACHABLE', detail: `dialling failed: ${String(thrown)}`, retry: 'soon' };
      this.#fail(failure);
    });
  }

  /**
   * Ends the session in the protocol's way; the `closed` marker is appended before this returns. `null` where there is
   * none, because nothing was heard or the session had ended before.
   */
  close(reason: CloseReason): Ticket | null {
    return this.#end({ kind: 'closed' }, { reason, detail: '' });
  }

  /** The slot is lost: every socket is gone before this returns, and nothing is appended. */
  drop(): void {
    this.#connection?.destroy(); // also of a session that is just closing
    this.#end({ kind: 'dropped', heard: this.#openedAtMs !== null }, null);
  }

  /** Receive time of a message from which on not everything is acked; `null`: everything is. */
  get unackedSinceNs(): bigint | null {
    return this.#credit.outstandingSinceNs;
  }

  tick(nowMonotonicMs: number): void {
    const { limits } = this.#options;
    const late = (sinceMs: number, limitMs: number): boolean => nowMonotonicMs - sinceMs >= limitMs;
    if (!this.#context.leaseLive()) {
      if (this.#held.length > 0 && late(this.#heldAtMs, limits.maxPauseMs)) this.drop();
      return; // S1: whatever is due now would be said
    }
    if (this.#held.length > 0) {
      this.#releaseHeld();
    } else if (this.#phase === 'dialling' && late(this.#startedAtMs, limits.dialTimeoutMs)) {
      this.#failSilent();
    } else if (this.#pausedAtMs !== null) {
      if (late(this.#pausedAtMs, limits.maxPauseMs)) this.#overload(nowMonotonicMs - this.#pausedAtMs);
    } else if (this.#phase === 'subscribed' && this.#alive !== 'known' && late(this.#startedAtMs, signOfLifeMs)) {
      if (this.#alive === 'assumed') this.#askForLife();
      else if (late(this.#startedAtMs, limits.dialTimeoutMs)) this.#failSilent();
    } else if (this.#unsynced.size > 0 && late(this.#startedAtMs, limits.syncTimeoutMs)) {
      const detail = `no sync_response within ${limits.syncTimeoutMs} ms of Subscribe`;
      this.#fail({ code: 'SYNC_TIMEOUT', detail, retry: 'soon' });
    } else if (
      limits.receiveTimeoutMs > 0 &&
      this.#phase !== 'dialling' &&
      late(this.#lastMessageAtMs, limits.receiveTimeoutMs)
    ) {
      const detail = `no message for ${limits.receiveTimeoutMs} ms`;
      this.#fail({ code: 'RECEIVE_TIMEOUT', detail, retry: 'soon' });
    } else {
      this.#gaps.tick(nowMonotonicMs);
    }
  }

  async #dial(): Promise<void> {
    const { transport, metrics, clock } = this.#context;
    const { observer } = this.#options;
    const target = this.#options.dialTarget();
    this.#address = target.address;
    const connection = transport.dial(target);
    this.#connection = connection;
    if (connection.isPrepared) this.#alive = 'assumed';
    else metrics.dials.inc();
    const answer = await connection.capabilities();
    if (this.#hasEnded()) return;
    if (!this.#context.leaseLive()) {
      this.drop(); // nobody may subscribe now; dialled again when the lease is back
      return;
    }
    if (answer.kind === 'failed') {
      this.#fail(answer.failure);
      return;
    }
    const offer = answer.kind === 'answered' ? decodeOffer(answer.bytes) : null;
    if (offer !== null) observer.onOffer(offer);
    const plan = this.#options.planRpcs(offer);
    if (plan.kind === 'impossible') {
      this.#fail(plan.failure);
      return;
    }
    this.#rpcs = plan.rpcs;
    this.#phase = 'subscribed';
    this.#startedAtMs = this.#lastMessageAtMs = clock.monotonicMs();
    for (const { rpc } of plan.rpcs) this.#unsynced.add(rpc);
    for (const { rpc, request } of plan.rpcs) {
      const call = connection.subscribe(request, {
        onMessage: (bytes) => this.#onMessage(rpc, bytes),
        onEnded: (end) => this.#onRpcEnded(end),
      });
      this.#calls.push(call);
    }
    observer.onDialled();
  }

  /** Each message of the device, on the hot path: no object but the header's receive time. */
  #onMessage(rpc: number, bytes: Buffer): void {
    if (this.#phase === 'ended') return;
    const { clock, metrics } = this.#context;
    if (this.#held.length > 0 || !this.#context.leaseLive()) {
      this.#hold(() => this.#onMessage(rpc, bytes)); // L3
      return;
    }
    const receivedAtNs = clock.nowNs();
    this.#lastMessageAtMs = clock.monotonicMs();
    if (this.#openedAtMs === null) this.#open();
    metrics.tally.messages += 1;
    metrics.tally.messageBytes += bytes.length;
    switch (scanner.scan(bytes, 0, bytes.length)) {
      case 'update':
        metrics.tally.updates += scanner.updates;
        metrics.tally.deletes += scanner.deletes;
        this.#append(rpc, bytes, receivedAtNs);
        return;
      case 'sync':
        this.#onSync(rpc, scanner.synced);
        return;
      case 'error':
        metrics.messagesFlawed.inc({ reason: 'error' });
        this.#append(rpc, bytes, receivedAtNs); // T20: whoever reads the log may want what the device said
        this.#options.observer.onOddity('deprecated error response');
        return;
      case 'empty':
        metrics.messagesFlawed.inc({ reason: 'empty' });
        this.#options.observer.onOddity('empty response');
        return;
      case 'malformed':
        metrics.messagesFlawed.inc({ reason: 'malformed' });
        this.#gap('malformed', `a message of ${bytes.length} bytes is not a SubscribeResponse`);
        return;
    }
  }

  #append(rpc: number, bytes: Buffer, receivedAtNs: bigint): void {
    this.#options.log.data(rpc, bytes, receivedAtNs, this.#credit);
    this.#credit.spend(bytes.length, receivedAtNs);
  }

  #onSync(rpc: number, synced: boolean): void {
    if (!synced) {
      this.#context.metrics.messagesFlawed.inc({ reason: 'sync-false' }); // S12
      return;
    }
    if (!this.#unsynced.delete(rpc) || this.#unsynced.size > 0) return;
    this.#phase = 'synced';
    this.#options.log.marker('synced', { address: this.#address });
    this.#options.observer.onSynced();
  }

  #open(): void {
    this.#openedAtMs = this.#lastMessageAtMs;
    this.#phase = 'connected';
    this.#options.log.marker('opened', {
      address: this.#address,
      encoding: [...new Set(this.#rpcs.map(({ encoding }) => encoding))].join(' '),
      subscriptions: this.#rpcs.flatMap(({ rpc, updatesOnly, subscriptions }) =>
        subscriptions.map((subscription) => ({ rpc, updatesOnly, subscription })),
      ),
    });
    this.#options.observer.onConnected();
  }

  #onRpcEnded(end: RpcEnd): void {
    if (this.#phase === 'ended') return;
    if (this.#held.length > 0 || !this.#context.leaseLive()) {
      this.#hold(() => this.#onRpcEnded(end));
      return;
    }
    if (end.kind === 'failed') {
      if (end.failure.code === 'MESSAGE_TOO_LARGE') {
        this.#context.metrics.messagesFlawed.inc({ reason: 'too-large' });
        this.#gap('too-large', end.failure.detail);
      }
      this.#fail(end.failure);
      return;
    }
    this.#end(
      { kind: 'ended', uptimeMs: this.#uptimeMs() },
      { reason: 'ended', detail: 'the device ended the stream' },
    );
  }

  #gap(reason: 'malformed' | 'too-large', detail: string): void {
    if (this.#openedAtMs === null) {
      this.#lastMessageAtMs = this.#context.clock.monotonicMs();
      this.#open();
    }
    this.#gaps.lost(reason, detail);
  }

  #hold(later: () => void): void {
    if (this.#held.length === 0) this.#heldAtMs = this.#context.clock.monotonicMs();
    this.#held.push(later);
    this.#pauseFor('lease');
  }

  #releaseHeld(): void {
    const held = this.#held;
    this.#held = [];
    for (const [index, later] of held.entries()) {
      later();
      if (this.#held.length > 0) {
        this.#held.push(...held.slice(index + 1)); // not live any more
        return;
      }
    }
    this.#resumeFrom('lease');
  }

  #pause(): void {
    this.#pausedAtMs = this.#context.clock.monotonicMs();
    this.#context.metrics.sessionsPaused.inc();
    this.#pauseFor('credit');
  }

  #resume(): void {
    this.#pausedAtMs = null;
    this.#resumeFrom('credit');
  }

  #pauseFor(reason: 'credit' | 'lease'): void {
    this.#pauses.add(reason);
    for (const call of this.#calls) call.pause();
  }

  #resumeFrom(reason: 'credit' | 'lease'): void {
    this.#pauses.delete(reason);
    if (this.#pauses.size > 0 || this.#phase === 'ended') return;
    this.#lastMessageAtMs = this.#context.clock.monotonicMs(); // the silence was ours
    for (const call of this.#calls) call.resume();
  }

  #overload(pausedMs: number): void {
    const detail = `Kafka took no records of this session for ${Math.round(pausedMs)} ms`;
    this.#end({ kind: 'overload', pausedMs, uptimeMs: this.#uptimeMs() }, { reason: 'overload', detail });
  }

  #fail(failure: DeviceFailure): void {
    const heard = this.#openedAtMs !== null;
    const outcome = { kind: 'failed', failure, heard, uptimeMs: this.#uptimeMs() } as const;
    this.#end(outcome, { reason: 'error', detail: failure.detail });
  }

  #failSilent(): void {
    const detail = `no answer within ${this.#options.limits.dialTimeoutMs} ms`;
    this.#fail({ code: 'UNREACHABLE', detail, retry: 'soon' });
  }

  #askForLife(): void {
    this.#alive = 'asked';
    void this.#connection?.capabilities().then((answer) => {
      if (this.#phase !== 'subscribed') return; // it has said something, or has ended
      if (answer.kind === 'failed') this.#fail(answer.failure);
      else this.#alive = 'known';
    });
  }

  #uptimeMs(): number {
    return this.#openedAtMs === null ? 0 : this.#context.clock.monotonicMs() - this.#openedAtMs;
  }

  #hasEnded(): boolean {
    return this.#phase === 'ended';
  }

  /** Of the `closed` marker, where one is appended. */
  #end(outcome: SessionOutcome, closed: { readonly reason: string; readonly detail: string } | null): Ticket | null {
    if (this.#phase === 'ended') return null;
    this.#phase = 'ended';
    const closing = this.#connection?.close() ?? Promise.resolve(); // after `destroy` it has nothing left to do
    this.#context.watch.remove(this);
    this.#held = [];
    let ticket: Ticket | null = null;
    if (closed !== null && this.#openedAtMs !== null) {
      this.#gaps.flush();
      ticket = this.#options.log.marker('closed', { ...closed, address: this.#address });
    }
    this.#credit.close();
    this.#options.observer.onDialled();
    this.#context.metrics.sessionsEnded.inc({ outcome: outcome.kind });
    void closing.then(() => this.#resolve(outcome)); // V1 of the supervisor: the next session is made after this one is gone
    return ticket;
  }
}
