import { framePrefix } from '../../schemas/frame.ts';
import { type MessageName, messageNames } from '../../schemas/topics.ts';
import { type Clock } from '../clock.ts';
import { recordTypeOf } from './schema-set.ts';

/**
 * Schema ids of this process, in memory: what is written is framed with them, what is read is told apart by them. A
 * registry that goes away stops nothing that runs.
 */
export interface SchemaIds {
  /** `topic`: full name. Throws when the catalogue has no such message in that topic. */
  idOf(topic: string, message: MessageName): number;
  /** The record type of an id that is known here; undefined: ask `lookUp`. */
  messageOf(schemaId: number): MessageName | undefined;
  /** The 6 bytes before each message; the same buffer every time. */
  framePrefix(topic: string, message: MessageName): Buffer;
  /**
   * As `messageOf`, and asks the registry about an id that is not known here: another version of the product registered
   * it, or another topic prefix. Undefined: not ours, or the registry does not answer now.
   */
  lookUp(schemaId: number, signal: AbortSignal): Promise<MessageName | undefined>;
}

export interface RegisteredSchema {
  readonly topic: string;
  readonly message: MessageName;
  readonly id: number;
}

/** Asks the registry for the text of an id; null: there is none. May reject. */
export type FetchSchemaText = (schemaId: number, signal: AbortSignal) => Promise<string | null>;

/** An id nobody knows is not asked for again within this time: a topic full of foreign records is no load. */
const unknownMs = 10_000;
const unknownMax = 1_000;

export class SchemaIdMap implements SchemaIds {
  readonly #ids = new Map<string, number>();
  readonly #prefixes = new Map<string, Buffer>();
  readonly #messages = new Map<number, MessageName>();
  readonly #unknownUntilMonotonicMs = new Map<number, number>();
  readonly #fetchText: FetchSchemaText;
  readonly #clock: Clock;

  constructor(registered: readonly RegisteredSchema[], fetchText: FetchSchemaText, clock: Clock) {
    this.#fetchText = fetchText;
    this.#clock = clock;
    for (const { topic, message, id } of registered) {
      this.#ids.set(keyOf(topic, message), id);
      this.#prefixes.set(keyOf(topic, message), framePrefix(id));
      this.#messages.set(id, message);
    }
  }

  idOf(topic: string, message: MessageName): number {
    return known(this.#ids.get(keyOf(topic, message)), topic, message);
  }

  framePrefix(topic: string, message: MessageName): Buffer {
    return known(this.#prefixes.get(keyOf(topic, message)), topic, message);
  }

  messageOf(schemaId: number): MessageName | undefined {
    return this.#messages.get(schemaId);
  }

  /** For ids found besides those that this process registered. */
  learn(schemaId: number, text: string): MessageName | undefined {
    const message = this.#messages.get(schemaId) ?? recordTypeOf(text);
    if (message !== undefined) this.#messages.set(schemaId, message);
    return message;
  }

  async lookUp(schemaId: number, signal: AbortSignal): Promise<MessageName | undefined> {
    const present = this.#messages.get(schemaId);
    if (present !== undefined) return present;
    const nowMs = this.#clock.monotonicMs();
    if ((this.#unknownUntilMonotonicMs.get(schemaId) ?? -Infinity) > nowMs) return undefined;
    if (this.#unknownUntilMonotonicMs.size >= unknownMax) this.#unknownUntilMonotonicMs.clear();
    this.#unknownUntilMonotonicMs.set(schemaId, nowMs + unknownMs);
    const text = await this.#fetchText(schemaId, signal).catch(() => null);
    return text === null ? undefined : this.learn(schemaId, text);
  }
}

function keyOf(topic: string, message: MessageName): string {
  return `${topic} ${message}`;
}

function known<T>(found: T | undefined, topic: string, message: MessageName): T {
  if (found !== undefined) return found;
  throw new Error(`topic ${topic} carries no ${message}; there are ${messageNames.length} record types in topics.ts`);
}
