import { isAbort, raceAbort } from '../core/abort.ts';
import { type Clock } from '../core/clock.ts';
import { deferred } from '../core/deferred.ts';
import { HoldfastError } from '../core/errors.ts';
import { type Random } from '../core/random.ts';
import { type IngestSettings } from './config.ts';
import { type DialGate } from './dial-gate.ts';
import { sameTarget } from './dial-target.ts';
import { type IngestMetrics } from './metrics.ts';
import { PreparedConnection } from './prepared-connection.ts';
import { RedialPause } from './redial-pause.ts';
import {
  type CapabilitiesAnswer,
  type DeviceConnection,
  type DeviceFailure,
  type DeviceTransport,
  type DialTarget,
} from './transport.ts';

/**
 * One device whose connection is kept ready: dialled, asked for its Capabilities, and no more, until a session takes it.
 *
 * | it is not ready because | before the next dial |
 * | --- | --- |
 * | others are being dialled | a place at the gate |
 * | no address answered, or the connection ended | the back-off of sessions (T14) |
 * | the device refused us, or something of ours threw | the wait of a refusal (T19) |
 *
 * Q1. There is at most one connection at a time, and none after `stop` has returned, except the one that was taken.
 * Q2. The addresses are dialled in order; a later one is ready only if those before it failed just then (T16).
 * Q3. A connection is handed out once, and only to a target that is the same down to the secrets (T4).
 */
export interface PreparationContext {
  readonly transport: DeviceTransport;
  readonly gate: DialGate;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: Pick<IngestMetrics, 'dials' | 'prepared'>;
  readonly settings: Pick<IngestSettings, 'dialTimeoutMs' | 'redialMs' | 'redialMsMax' | 'refusedRedialMs'>;
}

export interface PreparationOptions {
  /** One for each address, in order. Reads the secrets; may throw `CREDENTIALS_INVALID`. */
  readonly targets: () => readonly DialTarget[];
  /** It was tried and failed, is ready, or is so no more. */
  readonly onChange: () => void;
}

/** Up, and answered. */
interface Ready {
  readonly connection: DeviceConnection;
  readonly target: DialTarget;
  readonly answer: CapabilitiesAnswer;
  /** Resolves when the connection was lost. */
  readonly lost: Promise<void>;
}

type Attempt =
  { readonly kind: 'ready'; readonly ready: Ready } | { readonly kind: 'failed'; readonly slowly: boolean };

export class Preparation {
  readonly #context: PreparationContext;
  readonly #options: PreparationOptions;
  readonly #redial: RedialPause;
  readonly #stopping = new AbortController();
  #dialling: DeviceConnection | null = null;
  #ready: Ready | null = null;
  /** A session is about to come: what is ready stays, what is not is not begun again. */
  #settled = false;

  constructor(context: PreparationContext, options: PreparationOptions) {
    this.#context = context;
    this.#options = options;
    this.#redial = new RedialPause(context.settings, context.random);
  }

  get readyAddress(): string | null {
    return this.#ready?.target.address ?? null;
  }

  start(): void {
    void this.#run(this.#stopping.signal);
  }

  matches(target: DialTarget): boolean {
    return this.#ready !== null && sameTarget(this.#ready.target, target);
  }

  /** `null`: nothing is ready, or something else is. */
  take(target: DialTarget): DeviceConnection | null {
    const ready = this.#ready;
    if (ready === null || !this.matches(target)) return null;
    this.#ready = null; // Q3
    this.#context.metrics.prepared.inc({ outcome: 'used' });
    this.#stopping.abort(new Error('taken by a session'));
    return new PreparedConnection(ready.connection, ready.answer);
  }

  /** The slot is being taken over: ends whatever is not ready. */
  settle(): void {
    this.#settled = true;
    if (this.#ready === null) this.stop();
  }

  /** Whether what is ready, if anything, is what dialling would give now. */
  isCurrent(): boolean {
    const ready = this.#ready;
    if (ready === null) return true; // the next dial reads the secrets
    try {
      return this.#options.targets().some((target) => sameTarget(target, ready.target));
    } catch {
      return false;
    }
  }

  stop(): void {
    const ready = this.#ready;
    this.#ready = null;
    this.#stopping.abort(new Error('not stood by for any more'));
    this.#dialling?.destroy(); // Q1
    if (ready === null) return;
    ready.connection.destroy(); // Q1
    this.#context.metrics.prepared.inc({ outcome: 'dropped' });
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { clock, metrics } = this.#context;
    while (!signal.aborted) {
      try {
        const attempt = await this.#attempt(signal);
        if (attempt.kind === 'ready') await this.#keep(attempt.ready, signal);
        else {
          metrics.prepared.inc({ outcome: 'failed' });
          this.#options.onChange();
        }
        const slowly = attempt.kind === 'failed' && attempt.slowly;
        await clock.sleep(this.#redial.nextMs(slowly ? 'slowly' : 'soon'), signal);
      } catch (thrown) {
        if (isAbort(thrown, signal)) continue;
        metrics.prepared.inc({ outcome: 'failed' }); // a bug of ours, most likely: the session will say it
        this.#options.onChange();
        await clock.sleep(this.#redial.nextMs('slowly'), signal).catch(() => undefined); // aborted: the loop looks
      }
    }
  }

  /** Until it is lost. Rejects when it is taken or dropped. */
  async #keep(ready: Ready, signal: AbortSignal): Promise<void> {
    const { clock, metrics } = this.#context;
    const sinceMs = clock.monotonicMs();
    this.#options.onChange();
    await raceAbort(ready.lost, signal);
    signal.throwIfAborted(); // taken in the same turn: the session will notice
    this.#ready = null;
    ready.connection.destroy();
    metrics.prepared.inc({ outcome: 'ended' });
    if (this.#settled) this.#stopping.abort(new Error('left to the session'));
    this.#redial.ended(clock.monotonicMs() - sinceMs);
    this.#options.onChange();
  }

  async #attempt(signal: AbortSignal): Promise<Attempt> {
    const leaveGate = await this.#context.gate.enter(signal);
    try {
      signal.throwIfAborted();
      let slowly = true;
      for (const target of this.#options.targets()) {
        const found = await this.#dial(target, signal); // Q2
        if ('connection' in found) return { kind: 'ready', ready: found };
        slowly &&= found.retry === 'slowly';
      }
      return { kind: 'failed', slowly };
    } catch (thrown) {
      if (thrown instanceof HoldfastError) return { kind: 'failed', slowly: false }; // the secrets, which may be mended any time
      throw thrown;
    } finally {
      leaveGate();
    }
  }

  async #dial(target: DialTarget, signal: AbortSignal): Promise<Ready | DeviceFailure> {
    const { transport, metrics } = this.#context;
    metrics.dials.inc();
    const connection = transport.dial(target);
    const lost = new Promise<void>((resolve) => connection.onLost(resolve));
    this.#dialling = connection;
    try {
      const answer = await this.#ask(connection, signal);
      signal.throwIfAborted();
      if (answer.kind === 'failed') return answer.failure;
      this.#ready = { connection, target, answer, lost };
      return this.#ready;
    } finally {
      this.#dialling = null;
      if (this.#ready === null) connection.destroy(); // Q1
    }
  }

  async #ask(connection: DeviceConnection, signal: AbortSignal): Promise<CapabilitiesAnswer> {
    const { clock, settings } = this.#context;
    const { dialTimeoutMs } = settings;
    const detail = `no answer within ${dialTimeoutMs} ms`;
    const failure: DeviceFailure = { code: 'UNREACHABLE', detail, retry: 'soon' };
    const late = deferred<CapabilitiesAnswer>();
    const timer = clock.after(dialTimeoutMs, () => late.resolve({ kind: 'failed', failure }));
    try {
      return await raceAbort(Promise.race([connection.capabilities(), late.promise]), signal);
    } finally {
      timer.cancel();
    }
  }
}
