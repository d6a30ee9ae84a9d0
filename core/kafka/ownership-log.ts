import {
  placementCodec,
  planCodec,
  slotOwnershipCodec,
  type Plan,
  type SlotOwnership,
} from '../../schemas/ownership.ts';
import { decodeFrame, encodeFrame } from '../../schemas/frame.ts';
import { type Slot } from '../../schemas/slot.ts';
import {
  drainKey,
  type GroupRole,
  parseOwnershipKey,
  placeKey,
  planKey,
  slotKey,
  statePlanKey,
  stateSlotKey,
  topicOf,
} from '../../schemas/topics.ts';
import { type Clock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import { type Logger } from '../logger.ts';
import { type KafkaOptions } from './connection.ts';
import { LogReader, type LogBatch, type LogRecord } from './log-reader.ts';
import { OwnershipView } from './ownership-view.ts';
import { type SchemaIds } from './schema-ids.ts';
import { type WriterRecord } from './slot-host.ts';

/**
 * The topic `ownership` for one group: releases and plans are written here, and every member reads all of it. A port,
 * because the simulation puts a model of the log behind it.
 *
 * OL1. A worker joins only once it has read the topic to its end: the epochs in it are floors of its claims.
 * OL2. `released` and plans go through the unfenced producer: a release stays true for ever, and a writer that was
 *      superseded must still be able to state it. `held` goes through the slot's fenced writer.
 */
export interface OwnershipLog {
  readonly view: OwnershipView;
  /** Resolves when the topic was read to its end. */
  start(listener: OwnershipListener, signal: AbortSignal): Promise<void>;
  stop(): Promise<void>;
  /** Reads to an end taken now. */
  readToEnd(signal: AbortSignal): Promise<void>;
  /** Reads on over a new connection: the one it has may look alive and bring nothing. */
  reconnect(): void;
  /** Resolves when it is durable. */
  writeSlot(record: SlotOwnership): Promise<void>;
  writePlan(plan: Plan): Promise<void>;
  /** The wish is fulfilled, or means nobody any more: its record is nulled. */
  withdraw(wish: Wish): Promise<void>;
  /** A slot's record for its fenced writer. */
  recordOf(record: SlotOwnership): { readonly topic: string; readonly record: WriterRecord };
}

/** An operator's wish by what it is about. */
export type Wish =
  { readonly kind: 'drain'; readonly instance: string } | { readonly kind: 'place'; readonly slot: Slot };

export interface OwnershipListener {
  slotChanged(record: SlotOwnership): void;
  planChanged(plan: Plan): void;
  /** The heal rule: this record was followed by a lower one. */
  slotLowered(best: SlotOwnership): void;
  planLowered(best: Plan): void;
  /** Some wish was made or withdrawn. */
  wishesChanged(): void;
  fatal(error: Error): void;
}

/** What is needed of the unfenced producer: resolves when the records are durable. */
export interface OwnershipProducer {
  send(
    topic: string,
    partition: number,
    records: readonly { readonly key: Buffer; readonly value: Buffer | null }[],
  ): Promise<unknown>;
}

export interface KafkaOwnershipLogOptions {
  readonly kafka: KafkaOptions;
  readonly role: GroupRole;
  readonly topicPrefix: string;
  readonly producer: OwnershipProducer;
  readonly schemas: Pick<SchemaIds, 'idOf'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class KafkaOwnershipLog implements OwnershipLog {
  readonly view = new OwnershipView();
  readonly #options: KafkaOwnershipLogOptions;
  readonly #topic: string;
  #reader: LogReader | undefined;
  #listener: OwnershipListener | undefined;

  constructor(options: KafkaOwnershipLogOptions) {
    this.#options = options;
    this.#topic = topicOf(options.topicPrefix, 'ownership');
  }

  async start(listener: OwnershipListener, signal: AbortSignal): Promise<void> {
    const { kafka, clock, logger } = this.#options;
    this.#listener = listener;
    this.#reader = new LogReader({
      kafka,
      name: this.#topic,
      onBatch: (batch) => this.#apply(batch),
      onFatal: (error) => listener.fatal(error),
      clock,
      logger,
    });
    this.#reader.assign(this.#topic, 0, 'earliest');
    await this.#reader.start(signal);
    await this.#reader.caughtUp(this.#topic, 0, signal); // OL1
  }

  async stop(): Promise<void> {
    await this.#reader?.stop();
  }

  async readToEnd(signal: AbortSignal): Promise<void> {
    await this.#reader?.readToEnd(this.#topic, 0, signal);
  }

  reconnect(): void {
    this.#reader?.reconnect();
  }

  async writeSlot(record: SlotOwnership): Promise<void> {
    const { key, value } = this.recordOf(record).record;
    await this.#options.producer.send(this.#topic, 0, [{ key, value }]); // OL2
  }

  async writePlan(plan: Plan): Promise<void> {
    const key = Buffer.from(this.#options.role === 'ingest' ? planKey : statePlanKey);
    const id = this.#options.schemas.idOf(this.#topic, planCodec.message);
    await this.#options.producer.send(this.#topic, 0, [{ key, value: encodeFrame(id, planCodec.encode(plan)) }]);
  }

  async withdraw(wish: Wish): Promise<void> {
    const key = Buffer.from(wish.kind === 'drain' ? drainKey(wish.instance) : placeKey(wish.slot));
    await this.#options.producer.send(this.#topic, 0, [{ key, value: null }]);
  }

  recordOf(record: SlotOwnership): { topic: string; record: WriterRecord } {
    const id = this.#options.schemas.idOf(this.#topic, slotOwnershipCodec.message);
    return {
      topic: this.#topic,
      record: {
        key: Buffer.from(this.#keyOf(record.slot)),
        value: encodeFrame(id, slotOwnershipCodec.encode(record)),
        header: null,
        timestampMs: this.#options.clock.nowMs(),
      },
    };
  }

  #keyOf(slot: Slot): string {
    return this.#options.role === 'ingest' ? slotKey(slot) : stateSlotKey(slot);
  }

  #apply(batch: LogBatch): void {
    for (const record of batch.records) {
      try {
        this.#applyRecord(record);
      } catch (thrown) {
        // A record that is no record of ours must not stop the lock; the writer of it is what has to be found.
        const fields = { topic: this.#topic, offset: record.offset, cause: messageOf(thrown) };
        this.#options.logger.error(fields, 'ownership record not understood');
      }
    }
  }

  #applyRecord({ key, value }: LogRecord): void {
    if (key === null) return;
    const name = parseOwnershipKey(key.toString('utf8'));
    const { role } = this.#options;
    if (name?.kind === 'drain' || name?.kind === 'place') {
      const placement = value === null ? null : placementCodec.decode(decodeFrame(value).message);
      if (name.kind === 'drain') this.view.applyDrain(name.instance, placement);
      else this.view.applyPlace(name.slot, placement);
      this.#listener?.wishesChanged();
      return;
    }
    if (value === null) return;
    if (name?.kind === (role === 'ingest' ? 'slot' : 'state')) {
      const record = slotOwnershipCodec.decode(decodeFrame(value).message);
      const applied = this.view.applySlot(record);
      if (applied === 'changed') this.#listener?.slotChanged(record);
      const best = this.view.slot(record.slot);
      if (applied === 'lower' && best !== null) this.#listener?.slotLowered(best);
    } else if (name?.kind === (role === 'ingest' ? 'plan' : 'state-plan')) {
      const plan = planCodec.decode(decodeFrame(value).message);
      const applied = this.view.applyPlan(plan);
      if (applied === 'changed') this.#listener?.planChanged(plan);
      if (applied === 'lower' && this.view.plan !== null) this.#listener?.planLowered(this.view.plan);
    }
  }
}
