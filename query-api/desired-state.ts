/**
 * What is wanted: devices and profiles, changed over HTTP and kept in two compacted topics.
 *
 * W1. A change is answered when it is durable *and* visible in this instance's tables (change-writer.ts).
 * W2. A change that changes nothing writes nothing, so it disturbs no session.
 * W3. Nothing is written while anything in the request is wrong; all problems are told at once.
 * W4. Changes of one instance are made one after another, so a precondition holds when the record is written. Between
 *     instances the last write wins.
 */
import { type Clock } from '../core/clock.ts';
import { HoldfastError } from '../core/errors.ts';
import { type Logger } from '../core/logger.ts';
import { type Device, deviceCodec } from '../schemas/device.ts';
import {
  type Documents,
  documentsWithin,
  parseDevice,
  type ParsedDevicesFile,
  parseProfile,
  readDevicesFile,
  sameDevice,
  sameProfile,
} from '../schemas/device-document.ts';
import { type Profile, profileCodec } from '../schemas/profile.ts';
import { type RecordCodec } from '../schemas/record-codec.ts';
import { shownText } from '../schemas/shown-text.ts';
import { slotOf } from '../schemas/slot.ts';
import { type ChangedRecord, type ChangeWriter, type WritableRows } from './change-writer.ts';
import { entityTag, type Preconditions, requirePreconditions } from './etag.ts';
import { type QueryApiMetrics } from './metrics.ts';
import { checkProfiles, namesOf, warningsOf, wishesOf } from './device-checks.ts';
import { bodyInvalid } from './problem.ts';
import { SerialQueue } from './serial-queue.ts';
import { Turns } from './turns.ts';

export interface DesiredStateOptions {
  readonly devices: WritableRows<Device>;
  readonly profiles: WritableRows<Profile>;
  readonly writer: ChangeWriter;
  /** Full names. */
  readonly topics: { readonly devices: string; readonly profiles: string };
  readonly slots: number;
  /** Of the paths of subscriptions. */
  readonly maxPathElements: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Pick<QueryApiMetrics, 'changes'>;
}

export interface Author extends Preconditions {
  readonly changedBy: string;
}

export interface Changed<V> {
  readonly record: V;
  readonly outcome: 'created' | 'updated' | 'unchanged';
  readonly warnings: readonly string[];
}

export interface ImportOutcome {
  readonly devices: Tally;
  readonly profiles: Tally;
  readonly warnings: readonly string[];
}

export interface Tally {
  created: number;
  updated: number;
  unchanged: number;
}

type Stamped = { readonly name: string; readonly changedBy: string; readonly changedAtNs: bigint };

/** One of the two topics, as the writing side sees it. */
interface Kind<V extends Stamped> {
  readonly noun: 'device' | 'profile';
  readonly rows: WritableRows<V>;
  readonly codec: RecordCodec<V>;
  /** Whether two records say the same, whoever said it and when. */
  readonly same: (a: V, b: V) => boolean;
  readonly topic: string;
  readonly partitionOf: (name: string) => number;
}

const missingMax = 1_000;

export class DesiredState {
  readonly #options: DesiredStateOptions;
  readonly #devices: Kind<Device>;
  readonly #profiles: Kind<Profile>;
  readonly #documents: Documents;
  readonly #queue = new SerialQueue(); // W4

  constructor(options: DesiredStateOptions) {
    this.#options = options;
    this.#documents = documentsWithin({ pathElementsMax: options.maxPathElements });
    this.#devices = {
      noun: 'device',
      rows: options.devices,
      codec: deviceCodec,
      same: sameDevice,
      topic: options.topics.devices,
      partitionOf: (name) => slotOf(name, options.slots),
    };
    this.#profiles = {
      noun: 'profile',
      rows: options.profiles,
      codec: profileCodec,
      same: sameProfile,
      topic: options.topics.profiles,
      partitionOf: () => 0,
    };
  }

  /** Throws `BODY_INVALID` with all problems, `PRECONDITION_FAILED`, `KAFKA_UNAVAILABLE`. */
  putDevice(name: string, body: unknown, author: Author): Promise<Changed<Device>> {
    return this.#queue.run(async () => {
      const { problems: naming, input } = named(name, body);
      const parsed = parseDevice(input, this.#documents);
      const missing = checkProfiles(wishesOf([input]), this.#options.profiles, new Set());
      const problems = naming.concat(parsed.ok ? [] : parsed.problems, missing);
      if (!parsed.ok || problems.length > 0) throw bodyInvalid(problems);
      return this.#put(this.#devices, parsed.device, author, () => warningsOf([parsed.device], this.#options.devices));
    });
  }

  /** As `putDevice`. */
  putProfile(name: string, body: unknown, author: Author): Promise<Changed<Profile>> {
    return this.#queue.run(async () => {
      const { problems: naming, input } = named(name, body);
      const parsed = parseProfile(input, this.#documents);
      const problems = naming.concat(parsed.ok ? [] : parsed.problems);
      if (!parsed.ok || problems.length > 0) throw bodyInvalid(problems);
      return this.#put(this.#profiles, parsed.profile, author, () => []);
    });
  }

  /** Throws `DEVICE_UNKNOWN`, `PRECONDITION_FAILED`, `KAFKA_UNAVAILABLE`. */
  deleteDevice(name: string, author: Author): Promise<void> {
    return this.#queue.run(() => this.#delete(this.#devices, name, author));
  }

  /** Throws `PROFILE_UNKNOWN`, `PROFILE_IN_USE`, `PRECONDITION_FAILED`, `KAFKA_UNAVAILABLE`. */
  deleteProfile(name: string, author: Author): Promise<void> {
    return this.#queue.run(async () => {
      const users: string[] = [];
      for (const [device, record] of this.#options.devices.entries()) {
        if (record.profiles.includes(name)) users.push(device);
      }
      if (users.length > 0) {
        const devices = users.sort().slice(0, 20);
        const detail = `profile ${name} is used by ${users.length} devices (${devices.join(', ')}${users.length > 20 ? ', …' : ''}); take it off them first`;
        throw new HoldfastError('PROFILE_IN_USE', detail, { facts: { profile: name, devices } });
      }
      await this.#delete(this.#profiles, name, author);
    });
  }

  /**
   * Creates or replaces every device and profile of `body` (`{devices, profiles}`); others stay. Throws `BODY_INVALID`
   * with all problems of all of them, and then none is applied (W3). Rejects when `signal` aborts, until something is written.
   */
  import(body: unknown, author: Pick<Author, 'changedBy'>, signal: AbortSignal): Promise<ImportOutcome> {
    return this.#queue.run(async () => {
      signal.throwIfAborted(); // it may have waited long
      const turns = new Turns(this.#options.clock, signal);
      const parsed = await this.#readFile(body, turns);
      const problems = (parsed.ok ? [] : parsed.problems).concat(await this.#missingProfiles(body, turns));
      if (!parsed.ok || problems.length > 0) throw bodyInvalid(problems);
      const warnings = warningsOf(parsed.devices, this.#options.devices);
      // Profiles first: a device must not name one that nobody has read yet.
      const profiles = await this.#writeAll(this.#profiles, parsed.profiles, author.changedBy);
      const devices = await this.#writeAll(this.#devices, parsed.devices, author.changedBy);
      this.#options.logger.info({ changedBy: author.changedBy, devices, profiles }, 'devices imported');
      return { devices, profiles, warnings };
    });
  }

  async #readFile(body: unknown, turns: Turns): Promise<ParsedDevicesFile> {
    const reading = readDevicesFile(body, this.#documents);
    for (let step = reading.next(); ; step = reading.next()) {
      if (step.done === true) return step.value;
      if (turns.isOver) await turns.next();
    }
  }

  /** What devices want and nobody has, of a file that may be wrong otherwise; of very much the first. */
  async #missingProfiles(body: unknown, turns: Turns): Promise<string[]> {
    const { devices, profiles } = Object(body) as { devices?: unknown; profiles?: unknown };
    const added = namesOf(profiles);
    const missing: string[] = [];
    for (const device of Array.isArray(devices) ? (devices as unknown[]) : []) {
      for (const problem of checkProfiles(wishesOf([device]), this.#options.profiles, added)) missing.push(problem);
      if (missing.length >= missingMax) break;
      if (turns.isOver) await turns.next();
    }
    return missing;
  }

  /** The tag of a record as it is stored, with what its answer tells beside it. */
  deviceTag(device: Device, beside: string): string {
    return entityTag(deviceCodec.encode(device), beside);
  }

  profileTag(profile: Profile): string {
    return entityTag(profileCodec.encode(profile));
  }

  async #put<V extends Stamped>(
    kind: Kind<V>,
    wanted: V,
    author: Author,
    warnings: () => readonly string[],
  ): Promise<Changed<V>> {
    const present = kind.rows.get(wanted.name);
    requirePreconditions(author, present === undefined ? undefined : entityTag(kind.codec.encode(present)));
    const tally = await this.#writeAll(kind, [wanted], author.changedBy);
    const record = kind.rows.get(wanted.name) ?? wanted;
    const outcome = tally.created > 0 ? 'created' : tally.updated > 0 ? 'updated' : 'unchanged';
    if (outcome !== 'unchanged') {
      this.#options.logger.info({ [kind.noun]: wanted.name, changedBy: author.changedBy }, `${kind.noun} ${outcome}`);
    }
    return { record, outcome, warnings: warnings() };
  }

  async #delete<V extends Stamped>(kind: Kind<V>, name: string, author: Author): Promise<void> {
    const present = kind.rows.get(name);
    if (present === undefined) {
      const code = kind.noun === 'device' ? 'DEVICE_UNKNOWN' : 'PROFILE_UNKNOWN';
      throw new HoldfastError(code, `there is no ${kind.noun} ${name}`, { facts: { [kind.noun]: name } });
    }
    requirePreconditions(author, entityTag(kind.codec.encode(present)));
    const records: ChangedRecord[] = [{ key: Buffer.from(name), value: null }];
    await this.#options.writer.write(kind.topic, kind.rows, new Map([[kind.partitionOf(name), records]])); // W1
    this.#options.metrics.changes.inc({ kind: `${kind.noun} deleted` });
    this.#options.logger.info({ [kind.noun]: name, changedBy: author.changedBy }, `${kind.noun} deleted`);
  }

  /** Writes those that differ from what is there (W2). */
  async #writeAll<V extends Stamped>(kind: Kind<V>, wanted: readonly V[], changedBy: string): Promise<Tally> {
    const tally: Tally = { created: 0, updated: 0, unchanged: 0 };
    const { writer } = this.#options;
    const byPartition = new Map<number, ChangedRecord[]>();
    const changedAtNs = this.#options.clock.nowNs();
    const turns = new Turns(this.#options.clock);
    for (const record of wanted) {
      if (turns.isOver) await turns.next();
      const present = kind.rows.get(record.name);
      if (present !== undefined && kind.same(record, present)) {
        tally.unchanged += 1;
        continue;
      }
      tally[present === undefined ? 'created' : 'updated'] += 1;
      const value = writer.value(kind.topic, kind.codec, { ...record, changedBy, changedAtNs });
      const partition = kind.partitionOf(record.name);
      const records = byPartition.get(partition) ?? [];
      records.push({ key: Buffer.from(record.name), value });
      byPartition.set(partition, records);
    }
    await writer.write(kind.topic, kind.rows, byPartition); // W1
    if (tally.created > 0) this.#options.metrics.changes.inc({ kind: `${kind.noun} created` }, tally.created);
    if (tally.updated > 0) this.#options.metrics.changes.inc({ kind: `${kind.noun} updated` }, tally.updated);
    return tally;
  }
}

/** The body of a PUT with the name of the URL; another name in it is a problem. */
function named(name: string, body: unknown): { problems: string[]; input: unknown } {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return { problems: [], input: body };
  const given = Object.hasOwn(body, 'name') ? (body as { name: unknown }).name : name;
  const shown = typeof given === 'string' ? shownText(given) : 'no text';
  const problems = given === name ? [] : [`name: ${shown} is not the ${JSON.stringify(name)} of the URL`];
  return { problems, input: { ...body, name } };
}
