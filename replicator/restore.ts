import { decodeFrame } from '../schemas/frame.ts';
import { leafCodec } from '../schemas/leaf.ts';
import { parsePath, type PathElem, PathMalformed } from '../schemas/path.ts';
import {
  comparePositions,
  decodeHeader,
  type Position,
  type RecordHeader,
  RecordMalformed,
} from '../schemas/position.ts';
import { slotMarkerKey } from '../schemas/topics.ts';
import { type LogRecord } from '../core/kafka/log-reader.ts';
import { type SlotTable } from './slot-table.ts';

/**
 * A slot's leaves from its `state` partition, read from the beginning to the end.
 *
 * R1. Per key the highest position counts, not the last record: a displaced writer's late record may lie behind.
 * R2. Where those two differ the rightful record is written again, so that compaction keeps the right one.
 * R3. The highest position of all, the slot's marker included, is what `state` is complete up to.
 */
export interface HealRecord {
  readonly key: Buffer;
  /** Framed leaf; null: a tombstone. */
  readonly value: Buffer | null;
  readonly header: RecordHeader;
}

interface Standing {
  readonly header: RecordHeader;
  readonly value: Buffer | null;
  /** A record of a lower position lies behind it (R2). */
  isBuried: boolean;
}

/** Devices of a kind have the same paths; more different ones than this are parsed again. */
const pathsMax = 100_000;

export class StateRestore {
  readonly #standings = new Map<string, Standing>();
  readonly #heal: HealRecord[] = [];
  readonly #paths = new Map<string, readonly PathElem[]>();
  #position: Position | null = null;
  #malformed = 0;

  /** Records that could not be read; they are left as they are. */
  get malformed(): number {
    return this.#malformed;
  }

  add(record: LogRecord): void {
    const header = this.#header(record);
    if (header === null || record.key === null) return;
    if (this.#position === null || comparePositions(header, this.#position) > 0) this.#position = header; // R3
    const key = record.key.toString('utf8');
    if (key === slotMarkerKey) return;
    const standing = this.#standings.get(key);
    if (standing !== undefined && comparePositions(header, standing.header) < 0) {
      standing.isBuried = true; // R1
      return;
    }
    // A copy: the record is a view that would keep its whole fetch alive.
    const value = record.value === null ? null : Buffer.from(record.value);
    this.#standings.set(key, { header, value, isBuried: false });
  }

  /** The position that the table is complete up to once it is filled. */
  get position(): Position | null {
    if (this.#position === null) return null;
    const { slot, epoch, seq } = this.#position;
    return { slot, epoch, seq };
  }

  /** What must be written again, once the table is filled. */
  get heal(): readonly HealRecord[] {
    return this.#heal;
  }

  /** Fills the table with the next `count` leaves; false: all of them are there. */
  fill(table: SlotTable, count: number): boolean {
    let left = count;
    for (const [key, { header, value, isBuried }] of this.#standings) {
      if (left === 0) return true;
      left -= 1;
      this.#standings.delete(key);
      if (isBuried) this.#heal.push({ key: Buffer.from(key), value, header }); // R2
      if (value !== null) this.#fill(table, key, value, header);
    }
    return false;
  }

  /** Parsed once for all devices that have the path. */
  #elemsOf(path: string): readonly PathElem[] {
    let elems = this.#paths.get(path);
    if (elems === undefined) {
      elems = parsePath(path).elems;
      if (this.#paths.size >= pathsMax) this.#paths.clear();
      this.#paths.set(path, elems);
    }
    return elems;
  }

  #fill(table: SlotTable, key: string, value: Buffer, header: RecordHeader): void {
    try {
      const leaf = leafCodec.decode(decodeFrame(value).message);
      const device = table.device(leaf.device);
      const elems = this.#elemsOf(leaf.path);
      const entry = device.leaves.entry(leaf.origin, elems, { path: leaf.path, key });
      device.leaves.set(entry, leaf.value);
      entry.timestampNs = leaf.timestampNs;
      entry.receivedAtNs = header.receivedAtNs;
      entry.atomicRoot = leaf.atomicRoot;
      entry.rpc = header.rpc;
      entry.sampled = leaf.sampled;
      if (device.latestNs === null || leaf.timestampNs > device.latestNs) device.latestNs = leaf.timestampNs;
    } catch (thrown) {
      if (!(thrown instanceof RecordMalformed) && !(thrown instanceof PathMalformed)) throw thrown;
      this.#malformed += 1;
    }
  }

  #header(record: LogRecord): RecordHeader | null {
    try {
      return decodeHeader(record.header ?? Buffer.alloc(0));
    } catch (thrown) {
      if (!(thrown instanceof RecordMalformed)) throw thrown;
      this.#malformed += 1;
      return null;
    }
  }
}
