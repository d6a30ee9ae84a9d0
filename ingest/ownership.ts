import { raceAbort } from '../core/abort.ts';
import { type SlotHost, type SlotWriter as HostWriter, type Takeover } from '../core/kafka/slot-host.ts';
import { type Slot } from '../schemas/slot.ts';
import { type DeviceState } from '../schemas/status.ts';
import { type DeviceCatalogue } from './device-catalogue.ts';
import { type SlotAccount, type UnackedBudget } from './session-credit.ts';
import { SlotSessions, type StatusSource } from './slot-sessions.ts';
import { type SlotLog, SlotWriter, type SlotWriterContext } from './slot-writer.ts';
import { type IngestStandby } from './standby.ts';
import { type SupervisorContext } from './supervisor.ts';

/**
 * What holding a slot means to ingest: the `owner` marker first, then the device sessions, and at the end either every record
 * acked or every socket destroyed. The lock calls; nothing here decides who holds what.
 *
 * H1. No session exists before `activate`, and none after `release` has resolved or `drop` has returned.
 * H2. What a dropped slot could not get acknowledged is marked as a gap of each device when this process gets the slot
 *     again; if another process gets it, its `owner` marker ends those sessions for every reader.
 */
export type IngestWriter = SlotLog & HostWriter;

export interface IngestSlotsOptions {
  readonly supervisor: SupervisorContext;
  readonly budget: UnackedBudget;
  readonly catalogue: DeviceCatalogue;
  readonly statuses: StatusSource;
  readonly writers: () => SlotWriterContext;
  readonly onDiscarded: (bytes: number) => void;
  /** What was prepared for a slot is its sessions' from `begin` until the slot is not held. */
  readonly standby?: Pick<IngestStandby, 'taken' | 'left'>;
}

interface Holding {
  readonly writer: SlotWriter;
  readonly account: SlotAccount;
  sessions: SlotSessions | null;
}

export class IngestSlots implements SlotHost<IngestWriter> {
  readonly #options: IngestSlotsOptions;
  readonly #holdings = new Map<Slot, Holding>();
  readonly #lostSinceNs = new Map<Slot, ReadonlyMap<string, bigint>>();

  constructor(options: IngestSlotsOptions) {
    this.#options = options;
  }

  async begin(slot: Slot, log: IngestWriter, takeover: Takeover, signal: AbortSignal): Promise<void> {
    const account = this.#options.budget.account();
    const writer = new SlotWriter(slot, log, this.#options.writers(), account);
    this.#holdings.set(slot, { writer, account, sessions: null });
    this.#options.standby?.taken(slot);
    const from = takeover.fromEpoch === 0n ? '' : `after ${slot}:${takeover.fromEpoch}:${takeover.fromSeq}`;
    await raceAbort(writer.owner({ reason: takeover.reason, detail: from }), signal);
  }

  activate(slot: Slot): void {
    const holding = this.#holdings.get(slot);
    if (holding === undefined) return;
    const { supervisor: context, catalogue, statuses } = this.#options;
    const { writer, account } = holding;
    const lostSinceNs = this.#lostSinceNs.get(slot) ?? new Map<string, bigint>();
    this.#lostSinceNs.delete(slot);
    holding.sessions = new SlotSessions({ context, catalogue, statuses, writer, account, lostSinceNs });
    holding.sessions.start();
  }

  async release(slot: Slot, reason: 'moved' | 'drain', signal: AbortSignal): Promise<{ lastSeq: bigint | null }> {
    const holding = this.#holdings.get(slot);
    if (holding === undefined) return { lastSeq: null };
    const closed = holding.sessions?.close(reason) ?? Promise.resolve();
    const flushed = holding.writer.flushed(); // `closed` markers are appended: Kafka confirms them while sockets close
    flushed.catch(() => undefined); // heard below, once no session is left (H1)
    await raceAbort(closed, signal);
    await raceAbort(flushed, signal);
    await raceAbort(holding.writer.flushed(), signal); // the null status of a device that was removed just now
    this.#holdings.delete(slot);
    this.#options.standby?.left(slot);
    this.#forfeit(holding); // refused records; those that were acked came back
    return { lastSeq: holding.writer.lastSeq };
  }

  drop(slot: Slot): Promise<void> {
    const holding = this.#holdings.get(slot);
    if (holding === undefined) return Promise.resolve();
    this.#holdings.delete(slot);
    const dropped = holding.sessions?.drop();
    if (dropped !== undefined && dropped.lostSinceNs.size > 0) this.#lostSinceNs.set(slot, dropped.lostSinceNs); // H2
    this.#options.standby?.left(slot);
    this.#forfeit(holding);
    return dropped?.done ?? Promise.resolve();
  }

  held(): number {
    return this.#holdings.size;
  }

  deviceChanged(name: string): void {
    const sessions = this.#sessionsOf(name);
    if (sessions === undefined) return;
    sessions.deviceChanged(name);
    const event = 'address used by several devices: one of the records is probably wrong';
    for (const fields of this.#options.catalogue.sharingAddress(name)) {
      this.#options.supervisor.fleetLog.say({ level: 'warn', event, cause: '', fields });
    }
  }

  /** Kafka refused a message of this device for good; a gap marker stands in its place. */
  messageRefused(name: string, detail: string): void {
    this.#sessionsOf(name)?.messageRefused(name, detail);
  }

  statusSeen(name: string): void {
    this.#sessionsOf(name)?.statusSeen(name);
  }

  sessionsByState(): Map<DeviceState, number> {
    const counts = new Map<DeviceState, number>();
    for (const { sessions } of this.#holdings.values()) {
      for (const state of sessions?.states() ?? []) counts.set(state, (counts.get(state) ?? 0) + 1);
    }
    return counts;
  }

  /** Last position of each held slot, for the process's own report. */
  positions(): { readonly slot: Slot; readonly epoch: bigint; readonly seq: bigint }[] {
    return [...this.#holdings.values()].map(({ writer }) => ({
      slot: writer.slot,
      epoch: writer.epoch,
      seq: writer.lastSeq,
    }));
  }

  #sessionsOf(name: string): SlotSessions | undefined {
    return this.#holdings.get(this.#options.catalogue.slotOf(name))?.sessions ?? undefined;
  }

  #forfeit(holding: Holding): void {
    const bytes = holding.account.forfeit();
    if (bytes === 0) return;
    this.#options.onDiscarded(bytes);
    const event = 'slot lost before Kafka had acknowledged everything';
    const fields = { slot: holding.writer.slot, bytes };
    this.#options.supervisor.fleetLog.say({ level: 'warn', event, cause: '', fields });
  }
}
