import { type DeviceState } from '../schemas/status.ts';
import { type DeviceCatalogue } from './device-catalogue.ts';
import { type CloseReason } from './session.ts';
import { type SlotAccount } from './session-credit.ts';
import { type SlotWriter } from './slot-writer.ts';
import { Supervisor, type SupervisorContext } from './supervisor.ts';

/**
 * The devices of one held slot, from activation to release or drop: one supervisor each, kept in step with the device
 * records.
 *
 * K1. A device that is removed and added again gets its new supervisor after the old one's last session is gone.
 * K2. A status record without a device record is nulled, whoever wrote it.
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
}

export class SlotSessions {
  readonly #options: SlotSessionsOptions;
  readonly #supervisors = new Map<string, Supervisor>();
  readonly #leaving = new Map<string, { readonly supervisor: Supervisor; readonly done: Promise<void> }>();
  readonly #nulled = new Set<string>();
  #open = true;

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
    const { catalogue, statuses, writer } = this.#options;
    if (!this.#open || this.#nulled.has(name) || catalogue.configOf(name) !== undefined) return;
    if (this.#leaving.has(name) || statuses.get(name) === undefined) return;
    this.#nulled.add(name);
    writer.device(name).status(null); // K2
  }

  /** Every `closed` marker is appended before this returns; resolves when the last session is gone. */
  async close(reason: CloseReason): Promise<void> {
    this.#open = false;
    const supervisors = this.#all();
    await Promise.all(supervisors.map((supervisor) => supervisor.stop(reason)));
  }

  /** Every socket is destroyed before this returns. Says of which devices records may be lost, and since when. */
  drop(): { readonly lostSinceNs: ReadonlyMap<string, bigint>; readonly done: Promise<void> } {
    this.#open = false;
    const lostSinceNs = new Map<string, bigint>();
    for (const supervisor of this.#all()) {
      const since = supervisor.drop();
      if (since !== null) lostSinceNs.set(supervisor.device, since);
    }
    const done = Promise.all(this.#all().map((supervisor) => supervisor.done)).then(() => undefined);
    return { lostSinceNs, done };
  }

  #all(): Supervisor[] {
    return [...this.#supervisors.values(), ...[...this.#leaving.values()].map(({ supervisor }) => supervisor)];
  }

  #remove(name: string, supervisor: Supervisor): void {
    this.#supervisors.delete(name);
    this.#nulled.add(name); // `stop` writes the null
    const done = supervisor.stop('removed').finally(() => this.#leaving.delete(name));
    this.#leaving.set(name, { supervisor, done });
  }
}
