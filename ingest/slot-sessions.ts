import { raceAbort } from '../core/abort.ts';
import { type DeviceState } from '../schemas/status.ts';
import { type DeviceCatalogue } from './device-catalogue.ts';
import { type CloseReason } from './session.ts';
import { type SlotAccount } from './session-credit.ts';
import { type SlotWriter } from './slot-writer.ts';
import { sayRemoved, Supervisor, type SupervisorContext } from './supervisor.ts';

/**
 * The devices of one held slot, from activation to release or drop: one supervisor each, kept in step with the device
 * records.
 *
 * K1. A device that is removed and added again gets its new supervisor after the old one's last session is gone.
 * K2. A status record without a device record is the trace of a device that was removed while nobody could say so: its
 *     `closed` (`removed`) is written and the status nulled, once `devices` was read to its present end.
 */
export interface SlotSessionsOptions {
  readonly context: SupervisorContext;
  readonly catalogue: DeviceCatalogue;
  /** Status records of this slot as far as the topic was read, those of owners before included. */
  readonly statuses: StatusSource;
  readonly writer: SlotWriter;
  readonly account: SlotAccount;
  /** Devices of which this process lost records when it lost the slot, and since when. */
  readonly lostSinceNs: ReadonlyMap<string, bigint>;
}

/** What of a status record matters to the next owner. */
export interface KnownStatus {
  readonly gaps: bigint;
}

export interface StatusSource {
  get(device: string): KnownStatus | undefined;
  devices(): Iterable<string>;
  /** Resolves when every device record that exists now is known. Rejects when the process stops. */
  devicesRead(): Promise<void>;
}

export class SlotSessions {
  readonly #options: SlotSessionsOptions;
  readonly #supervisors = new Map<string, Supervisor>();
  readonly #leaving = new Map<string, { readonly supervisor: Supervisor; readonly done: Promise<void> }>();
  readonly #nulled = new Set<string>();
  /** Status records without a device record that nobody has looked into yet (K2). */
  readonly #orphans = new Set<string>();
  readonly #closing = new AbortController();
  #searching = false;

  constructor(options: SlotSessionsOptions) {
    this.#options = options;
  }

  start(): void {
    const { catalogue, statuses, writer } = this.#options;
    for (const name of catalogue.devicesOf(writer.slot)) this.deviceChanged(name);
    for (const name of [...statuses.devices()]) {
      if (catalogue.slotOf(name) === writer.slot) this.statusSeen(name);
    }
  }

  states(): DeviceState[] {
    return [...this.#supervisors.values()].map(({ state }) => state);
  }

  /** The device's record or one of its profiles changed, came or went. */
  deviceChanged(name: string): void {
    if (!this.#open) return;
    const config = this.#options.catalogue.configOf(name);
    const supervisor = this.#supervisors.get(name);
    if (config === undefined) {
      if (supervisor !== undefined) this.#remove(name, supervisor);
      else this.statusSeen(name);
      return;
    }
    if (supervisor !== undefined) {
      supervisor.apply(config);
      return;
    }
    const leaving = this.#leaving.get(name);
    if (leaving !== undefined) {
      void leaving.done.then(() => this.deviceChanged(name)); // K1
      return;
    }
    const { context, writer, account, statuses, lostSinceNs } = this.#options;
    this.#nulled.delete(name);
    const gaps = statuses.get(name)?.gaps ?? 0n;
    const log = writer.device(name);
    const added = new Supervisor(context, {
      device: name,
      log,
      account,
      config,
      gaps,
      lostSinceNs: lostSinceNs.get(name) ?? null,
    });
    this.#supervisors.set(name, added);
    added.start();
  }

  messageRefused(name: string, detail: string): void {
    this.#supervisors.get(name)?.messageRefused(detail);
  }

  /** A status record of this slot was read. */
  statusSeen(name: string): void {
    if (!this.#isOrphan(name)) return;
    this.#orphans.add(name);
    if (this.#searching) return;
    this.#searching = true;
    this.#removeOrphans()
      .catch(() => undefined) // closed: the next owner will find them
      .finally(() => (this.#searching = false));
  }

  /** Every `closed` marker is appended before this returns; resolves when the last session is gone. */
  async close(reason: CloseReason): Promise<void> {
    this.#shut();
    const supervisors = this.#all();
    await Promise.all(supervisors.map((supervisor) => supervisor.stop(reason)));
  }

  /** Every socket is destroyed before this returns. Says of which devices records may be lost, and since when. */
  drop(): { readonly lostSinceNs: ReadonlyMap<string, bigint>; readonly done: Promise<void> } {
    this.#shut();
    const lostSinceNs = new Map<string, bigint>();
    for (const supervisor of this.#all()) {
      const since = supervisor.drop();
      if (since !== null) lostSinceNs.set(supervisor.device, since);
    }
    const done = Promise.all(this.#all().map((supervisor) => supervisor.done)).then(() => undefined);
    return { lostSinceNs, done };
  }

  get #open(): boolean {
    return !this.#closing.signal.aborted;
  }

  #shut(): void {
    this.#closing.abort(new Error('the slot is not held any more'));
  }

  #isOrphan(name: string): boolean {
    const { catalogue, statuses } = this.#options;
    if (!this.#open || this.#nulled.has(name) || this.#leaving.has(name)) return false;
    return catalogue.configOf(name) === undefined && statuses.get(name) !== undefined;
  }

  async #removeOrphans(): Promise<void> {
    const { statuses, writer } = this.#options;
    while (this.#orphans.size > 0) {
      const names = [...this.#orphans];
      this.#orphans.clear();
      await raceAbort(statuses.devicesRead(), this.#closing.signal);
      for (const name of names) {
        if (!this.#isOrphan(name)) continue;
        this.#nulled.add(name);
        void sayRemoved(writer.device(name), null);
      }
    }
  }

  #all(): Supervisor[] {
    return [...this.#supervisors.values(), ...[...this.#leaving.values()].map(({ supervisor }) => supervisor)];
  }

  #remove(name: string, supervisor: Supervisor): void {
    this.#supervisors.delete(name);
    this.#nulled.add(name); // `stop` says so
    const done = supervisor.stop('removed').finally(() => this.#leaving.delete(name));
    this.#leaving.set(name, { supervisor, done });
  }
}
