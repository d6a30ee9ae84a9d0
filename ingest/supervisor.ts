import { isAbort } from '../core/abort.ts';
import { messageOf } from '../core/errors.ts';
import { type RateLimited } from '../core/logger.ts';
import { type Random } from '../core/random.ts';
import { type DeviceState } from '../schemas/status.ts';
import { type DeviceConfig, stoppedBecause } from './device-config.ts';
import { StatusKeeper } from './device-status.ts';
import { type DialGate } from './dial-gate.ts';
import { dialTarget } from './dial-target.ts';
import { type FleetLog } from './fleet-log.ts';
import { type IngestSettings } from './config.ts';
import { RedialPause } from './redial-pause.ts';
import {
  type CloseReason,
  Session,
  type SessionContext,
  type SessionObserver,
  type SessionOutcome,
} from './session.ts';
import { type SlotAccount, type UnackedBudget } from './session-credit.ts';
import { type DeviceLog, type Ticket } from './slot-writer.ts';
import { planRpcs } from './subscription-plan.ts';
import { type DeviceFailure, type DialTarget } from './transport.ts';

/**
 * One device of a held slot, from the moment it is ours until it is not: sessions one after the other, and what follows each.
 *
 * | a session ended because | before the next one | bounded by |
 * | --- | --- | --- |
 * | dialling failed, stream lost | back-off 1 → 60 s, random by half; from 1 s again only after a session longer than 60 s (T14) | never gives up |
 * | the device refused us (T19) | 5 min, random by half | the same |
 * | Kafka took no records | room in the budget, then 1 s, random by half | the same |
 * | something of ours threw | the wait of a refusal | the same |
 * | the configuration changed | nothing | – |
 * | the lease is not live | the lease being live | the slot is dropped |
 *
 * V1. Sessions of a device never overlap: the next one is made after the last one's outcome, and `stop` waits for it.
 * V2. `stop` and `drop` end everything at once: a dial, a wait, a session (T15); nothing is begun after them.
 * V3. A removed device leaves a `closed` (`removed`) whatever state it was in, and its null status only once that is acked:
 *     whoever dies in between leaves a status without a device record, which tells the next owner to do the same.
 * V4. With the budget used up nobody dials (C4 of session-credit.ts).
 * V5. A connection that was prepared is used first and takes no place of a dial, whichever address it goes to. If it turns
 *     out to be dead, that is no failure of the device: the addresses are dialled in order as if there had been none.
 */
export interface SupervisorContext {
  readonly session: SessionContext;
  readonly budget: UnackedBudget;
  readonly gate: DialGate;
  readonly random: Random;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly fleetLog: FleetLog;
  readonly limited: RateLimited;
  readonly settings: Pick<
    IngestSettings,
    | 'dialTimeoutMs'
    | 'syncTimeoutMs'
    | 'receiveTimeoutMs'
    | 'maxPauseMs'
    | 'maxMessageBytes'
    | 'receiveWindowBytes'
    | 'redialMs'
    | 'redialMsMax'
    | 'refusedRedialMs'
  >;
  readonly instance: string;
}

export interface SupervisorOptions {
  readonly device: string;
  readonly log: DeviceLog;
  readonly account: SlotAccount;
  readonly config: DeviceConfig;
  /** Gaps counted by owners before. */
  readonly gaps: bigint;
  /** When this process lost the slot it had records of this device that Kafka had not acknowledged since then. */
  readonly lostSinceNs: bigint | null;
}

const leasePollMs = 250;

export class Supervisor {
  readonly #context: SupervisorContext;
  readonly #options: SupervisorOptions;
  readonly #status: StatusKeeper;
  #config: DeviceConfig;
  readonly #redial: RedialPause;
  #session: Session | null = null;
  /** Sessions of which not everything was acked when the next one began, and the present one. */
  #unacked: Session[] = [];
  /** The gap of an earlier holding, until its marker is acked. */
  #lostSinceNs: bigint | null;
  /** Aborted when whatever goes on is to end: the configuration changed, or the device is no longer ours. */
  #turn = new AbortController();
  #stopReason: CloseReason | 'dropped' | null = null;
  #done: Promise<void> = Promise.resolve();
  #removed: Promise<void> = Promise.resolve();

  constructor(context: SupervisorContext, options: SupervisorOptions) {
    this.#context = context;
    this.#options = options;
    this.#config = options.config;
    this.#lostSinceNs = options.lostSinceNs;
    this.#redial = new RedialPause(context.settings, context.random);
    const { device, log, gaps } = options;
    this.#status = new StatusKeeper({ device, log, gaps, instance: context.instance, clock: context.session.clock });
  }

  get device(): string {
    return this.#options.device;
  }

  get state(): DeviceState {
    return this.#status.state;
  }

  start(): void {
    const lostFromNs = this.#lostSinceNs;
    if (lostFromNs !== null) {
      const detail = 'the slot was lost before Kafka had acknowledged everything';
      const lostToNs = this.#context.session.clock.nowNs();
      const ticket = this.#options.log.marker('gap', { reason: 'overload', detail, lostFromNs, lostToNs });
      ticket?.acked.then(
        () => (this.#lostSinceNs = null),
        () => undefined, // lost with the slot: to be said again
      );
      this.#status.gap({ code: '', detail: '', fromNs: lostFromNs, toNs: lostToNs });
    }
    this.#done = this.#supervise();
  }

  /** A configuration that makes no difference disturbs nothing. */
  apply(config: DeviceConfig): void {
    const same = config.fingerprint === this.#config.fingerprint;
    this.#config = config;
    if (same || this.#stopReason !== null) return;
    this.#redial.reset();
    this.#session?.close('changed');
    this.#turn.abort(new Error('the device record changed'));
  }

  /** Closes the session with its marker before it returns; resolves when nothing is left. */
  stop(reason: CloseReason): Promise<void> {
    if (this.#stopReason === null) {
      this.#stopReason = reason;
      const closed = this.#session?.close(reason) ?? null;
      if (reason === 'removed') this.#removed = sayRemoved(this.#options.log, closed);
      this.#turn.abort(new Error(reason));
    }
    return this.#done.then(() => this.#removed);
  }

  /** Destroys the sockets before it returns. Says since when records may be lost; `null`: everything was acked. */
  drop(): bigint | null {
    this.#session?.drop();
    this.#stopReason = 'dropped';
    this.#turn.abort(new Error('the slot was lost'));
    let oldestNs = this.#lostSinceNs;
    for (const { unackedSinceNs } of this.#unacked) {
      if (unackedSinceNs !== null && (oldestNs === null || unackedSinceNs < oldestNs)) oldestNs = unackedSinceNs;
    }
    return oldestNs;
  }

  messageRefused(detail: string): void {
    if (this.#stopped()) return;
    const toNs = this.#context.session.clock.nowNs(); // it came some time before
    this.#status.gap({ code: 'MESSAGE_TOO_LARGE', detail, fromNs: 0n, toNs });
  }

  /** Resolves when the last session is gone. */
  get done(): Promise<void> {
    return this.#done;
  }

  async #supervise(): Promise<void> {
    while (!this.#stopped()) {
      this.#turn = new AbortController();
      const { signal } = this.#turn;
      try {
        await this.#round(this.#config, signal);
      } catch (thrown) {
        if (isAbort(thrown, signal)) continue;
        await this.#sayFailed(thrown, signal).catch(() => undefined); // aborted: the loop looks why
      }
    }
  }

  /** A bug of ours, most likely: it costs this device a while, and nobody else anything. */
  async #sayFailed(thrown: unknown, signal: AbortSignal): Promise<void> {
    const { session, fleetLog } = this.#context;
    const cause = messageOf(thrown);
    const fields = { device: this.#options.device, cause };
    fleetLog.say({ level: 'warn', event: 'device supervision failed', cause: '', fields });
    const waitMs = this.#redial.nextMs('slowly');
    try {
      const detail = `internal error: ${cause}`;
      this.#status.change({ state: 'waiting', code: 'UNREACHABLE', detail, retryInMs: waitMs });
    } finally {
      await session.clock.sleep(waitMs, signal);
    }
  }

  /** A method, because the reason changes behind the back of whoever awaits. */
  #stopped(): boolean {
    return this.#stopReason !== null;
  }

  /** All addresses once, then the wait before the next round. */
  async #round(config: DeviceConfig, signal: AbortSignal): Promise<void> {
    const { clock } = this.#context.session;
    const { fleetLog, settings, budget, random } = this.#context;
    const why = stoppedBecause(config);
    if (why !== null) {
      this.#status.change({ state: 'stopped', code: '', detail: why });
      fleetLog.say({
        level: 'info',
        event: 'device stopped',
        cause: '',
        fields: { device: this.#options.device, why },
      });
      return await aborted(signal);
    }
    if (budget.isFull) {
      this.#status.change({ state: 'waiting', code: '', detail: 'Kafka does not take records; dialled when it does' });
      await budget.room(signal); // V4
    }
    const outcome = await this.#tryAddresses(config, signal);
    if (this.#stopped() || outcome.kind === 'closed') return;
    switch (outcome.kind) {
      case 'dropped':
        while (!this.#context.session.leaseLive()) await clock.sleep(leasePollMs, signal);
        if (outcome.heard) {
          const detail = 'the lease was not live for too long: what the device said meanwhile is lost';
          this.#options.log.marker('closed', { reason: 'error', detail });
        }
        return;
      case 'overload': {
        const detail = `closed after ${Math.round(outcome.pausedMs)} ms without room: Kafka does not take records; opened again when it does`;
        this.#status.change({ state: 'waiting', code: '', detail });
        this.#sayEnded(outcome, detail);
        await budget.room(signal);
        await clock.sleep(settings.redialMs * (0.5 + random.next()), signal);
        return;
      }
      case 'ended':
      case 'failed': {
        this.#redial.ended(outcome.uptimeMs);
        const failure: DeviceFailure | null = outcome.kind === 'failed' ? outcome.failure : null;
        const detail = failure?.detail ?? 'the device ended the stream';
        this.#sayEnded(outcome, detail);
        await this.#wait({ code: failure?.code ?? '', detail, retry: failure?.retry ?? 'soon' }, signal);
        return;
      }
    }
  }

  /** T16: the addresses in order; the first that gives us a message is the one. */
  async #tryAddresses(config: DeviceConfig, signal: AbortSignal): Promise<SessionOutcome> {
    const { addresses } = config.device;
    const failures: DeviceFailure[] = [];
    const ahead = this.#preparedTarget(config);
    let refusedBy: string | null = null;
    if (ahead !== null) {
      const outcome = await this.#runSession(config, ahead.address, signal, ahead); // V5
      if (outcome.kind !== 'failed' || outcome.heard) return outcome;
      if (outcome.failure.code !== 'UNREACHABLE') {
        refusedBy = ahead.address;
        failures.push(naming(refusedBy, outcome.failure));
      }
    }
    for (const address of addresses) {
      if (address === refusedBy) continue;
      const outcome = await this.#runSession(config, address, signal);
      if (outcome.kind !== 'failed' || outcome.heard) return outcome;
      failures.push(naming(address, outcome.failure));
    }
    const failure: DeviceFailure = {
      code: failures.at(-1)?.code ?? 'UNREACHABLE',
      detail: failures.map(({ detail }) => detail).join('; '),
      retry: failures.every(({ retry }) => retry === 'slowly') ? 'slowly' : 'soon',
    };
    return { kind: 'failed', failure, heard: false, uptimeMs: 0 };
  }

  /** What a connection that is up already was prepared for, if it is still what we would dial. */
  #preparedTarget({ device }: DeviceConfig): DialTarget | null {
    const { transport } = this.#context.session;
    const address = transport.preparedAddress(device.name);
    if (address === null || !device.addresses.includes(address)) return null;
    try {
      const target = dialTarget(device, address, this.#context);
      return transport.isPrepared(target) ? target : null;
    } catch {
      return null; // the session that dials will say what is wrong with the secrets
    }
  }

  /** `ahead`: what was prepared for that address; null: nothing was. */
  async #runSession(
    config: DeviceConfig,
    address: string,
    signal: AbortSignal,
    ahead: DialTarget | null = null,
  ): Promise<SessionOutcome> {
    const { gate, settings, session: context } = this.#context;
    const { device, profiles } = config;
    if (ahead !== null) await gate.pass(); // V5
    const isReady = ahead !== null && context.transport.isPrepared(ahead); // it may have been lost meanwhile
    const leaveGate = isReady ? () => undefined : await gate.enter(signal);
    try {
      signal.throwIfAborted(); // V2: while we were let in, others left because the slot is lost
      if (!context.leaseLive()) return { kind: 'dropped', heard: false }; // nobody may dial
      this.#status.change({ state: 'connecting', address });
      const session = new Session(context, {
        log: this.#options.log,
        account: this.#options.account,
        limits: { ...settings, receiveTimeoutMs: device.receiveTimeoutMs || settings.receiveTimeoutMs },
        dialTarget: () => ahead ?? dialTarget(device, address, this.#context),
        planRpcs: (offer) => planRpcs(device, profiles, offer),
        observer: this.#observer(config, address, leaveGate),
      });
      this.#session = session;
      this.#unacked = [...this.#unacked.filter(({ unackedSinceNs }) => unackedSinceNs !== null), session];
      session.start();
      return await session.outcome; // V1: resolved by stop and drop as well
    } finally {
      leaveGate();
    }
  }

  #observer(config: DeviceConfig, address: string, leaveGate: () => void): SessionObserver {
    const { fleetLog, limited, session } = this.#context;
    const { device } = this.#options;
    const missing = config.missingProfiles;
    const warning = missing.length === 0 ? '' : `no such profile: ${missing.join(', ')}`;
    return {
      onOffer: (offer) => this.#status.offer(offer),
      onDialled: leaveGate,
      onConnected: () => this.#status.change({ state: 'connected', code: '', detail: warning }),
      onSynced: () => {
        this.#status.change({ state: 'synced' });
        fleetLog.say({ level: 'info', event: 'device synced', cause: '', fields: { device, address } });
      },
      onGap: (gap) => this.#status.gap(gap),
      onOddity: (what) => {
        const suppressed = limited.pass(`${device} ${what}`, session.clock.monotonicMs());
        if (suppressed === undefined) return;
        fleetLog.say({
          level: 'warn',
          event: 'odd message received',
          cause: what,
          fields: { device, what, suppressed },
        });
      },
    };
  }

  async #wait(
    { code, detail, retry }: { readonly code: string; readonly detail: string; readonly retry: 'soon' | 'slowly' },
    signal: AbortSignal,
  ): Promise<void> {
    const waitMs = this.#redial.nextMs(retry);
    this.#status.change({ state: 'waiting', code, detail, retryInMs: waitMs });
    await this.#context.session.clock.sleep(waitMs, signal);
  }

  #sayEnded(outcome: SessionOutcome, detail: string): void {
    const code = outcome.kind === 'failed' ? outcome.failure.code : outcome.kind;
    const uptimeMs = 'uptimeMs' in outcome ? Math.round(outcome.uptimeMs) : 0;
    const fields = { device: this.#options.device, outcome: outcome.kind, code, detail, uptimeMs };
    this.#context.fleetLog.say({ level: 'warn', event: 'session ended', cause: code, fields });
  }
}

/**
 * What is written of a device whose record is gone: `closed` unless its session has just said so, then the null status.
 * Resolves when the latter is appended, or the slot is lost.
 */
export async function sayRemoved(log: DeviceLog, closed: Ticket | null): Promise<void> {
  const ticket = closed ?? log.marker('closed', { reason: 'removed' });
  if (ticket === null) return;
  try {
    await ticket.acked;
  } catch {
    return; // V3: the next owner finds the status
  }
  log.status(null);
}

function naming(address: string, failure: DeviceFailure): DeviceFailure {
  return failure.detail.includes(address) ? failure : { ...failure, detail: `${address}: ${failure.detail}` };
}

/** Rejects when the signal aborts, and does nothing else. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
}
