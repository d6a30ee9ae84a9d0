import { type Slot } from '../../schemas/slot.ts';
import { HoldfastError } from '../errors.ts';

/**
 * The held report: what a worker says of itself in the userData of every JoinGroup.
 *
 * HR-1. Whoever reported (slot, epoch) owes a release for it, even if no session was ever opened.
 * HR-2. It is complete: a slot whose claim was sent to the coordinator is in it, whatever became of the answer.
 *
 * Bytes, big-endian: version u8 = 1 · flags u8 (1 draining) · nonce u32 · capacity u16 · adopted plan version u64 · slots
 * u16 · four texts (length u8, UTF-8: instance, incarnation, peer, zone) · bitmaps held, releasing, warm, unable (slot 0 is
 * the lowest bit of the first byte) · lowest epoch u64 · per held or releasing slot, ascending, epoch minus lowest as varint.
 */
export interface HeldReport {
  readonly instance: string;
  readonly incarnation: string;
  /** host:port of the peer-watch listener; empty: none. */
  readonly peer: string;
  readonly zone: string;
  /** Weight in balancing; 100 is an ordinary worker. */
  readonly capacity: number;
  readonly draining: boolean;
  /** A changed nonce changes the bytes, and only changed bytes make the coordinator start a rebalance. */
  readonly nonce: number;
  readonly adoptedVersion: bigint;
  /** Epochs of slots that this worker holds (from the moment its claim was sent). */
  readonly held: ReadonlyMap<Slot, bigint>;
  /** Epochs of slots that it is letting go. */
  readonly releasing: ReadonlyMap<Slot, bigint>;
  readonly warm: ReadonlySet<Slot>;
  /** Slots that it could not run lately; the plan avoids it while another member exists. */
  readonly unable: ReadonlySet<Slot>;
}

const formatVersion = 1;
const drainingFlag = 1;

export function encodeHeldReport(report: HeldReport, slots: number): Buffer {
  const texts = [report.instance, report.incarnation, report.peer, report.zone].map(encodeText);
  const head = Buffer.alloc(18);
  head.writeUInt8(formatVersion, 0);
  head.writeUInt8(report.draining ? drainingFlag : 0, 1);
  head.writeUInt32BE(report.nonce >>> 0, 2);
  head.writeUInt16BE(report.capacity, 6);
  head.writeBigUInt64BE(report.adoptedVersion, 8);
  head.writeUInt16BE(slots, 16);
  const maps = [report.held.keys(), report.releasing.keys(), report.warm, report.unable].map((set) =>
    encodeBitmap(set, slots),
  );
  const epochs = [...report.held, ...report.releasing].sort(([a], [b]) => a - b).map(([, epoch]) => epoch);
  const lowest = epochs.reduce((low, epoch) => (epoch < low ? epoch : low), epochs[0] ?? 0n);
  const base = Buffer.alloc(8);
  base.writeBigUInt64BE(lowest, 0);
  return Buffer.concat([head, ...texts, ...maps, base, ...epochs.map((epoch) => encodeVarint(epoch - lowest))]);
}

/** Throws `PLAN_INVALID` for bytes that are not a report of this version. */
export function decodeHeldReport(bytes: Buffer): HeldReport {
  try {
    return decode(bytes);
  } catch (thrown) {
    if (thrown instanceof HoldfastError) throw thrown;
    throw new HoldfastError('PLAN_INVALID', 'a member of the group sent a held report that is cut short', {
      cause: thrown,
    });
  }
}

function decode(bytes: Buffer): HeldReport {
  const version = bytes.readUInt8(0);
  if (version !== formatVersion) {
    throw new HoldfastError(
      'PLAN_INVALID',
      `a member of the group sent a held report of version ${version}: stop the programs of other versions in this group`,
      { facts: { version } },
    );
  }
  const slots = bytes.readUInt16BE(16);
  let at = 18;
  const text = (): string => {
    const length = bytes.readUInt8(at);
    const value = bytes.toString('utf8', at + 1, at + 1 + length);
    at += 1 + length;
    return value;
  };
  const [instance, incarnation, peer, zone] = [text(), text(), text(), text()];
  const bitmap = (): Slot[] => {
    const size = Math.ceil(slots / 8);
    const found = decodeBitmap(bytes.subarray(at, at + size), slots);
    at += size;
    return found;
  };
  const [heldSlots, releasingSlots, warm, unable] = [bitmap(), bitmap(), bitmap(), bitmap()];
  const lowest = bytes.readBigUInt64BE(at);
  at += 8;
  const held = new Map<Slot, bigint>();
  const releasing = new Map<Slot, bigint>();
  const isHeld = new Set(heldSlots);
  for (const slot of [...heldSlots, ...releasingSlots].sort((a, b) => a - b)) {
    const { value, next } = decodeVarint(bytes, at);
    at = next;
    (isHeld.has(slot) ? held : releasing).set(slot, lowest + value);
  }
  return {
    instance,
    incarnation,
    peer,
    zone,
    capacity: bytes.readUInt16BE(6),
    draining: (bytes.readUInt8(1) & drainingFlag) !== 0,
    nonce: bytes.readUInt32BE(2),
    adoptedVersion: bytes.readBigUInt64BE(8),
    held,
    releasing,
    warm: new Set(warm),
    unable: new Set(unable),
  };
}

function encodeText(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.length > 255) {
    throw new HoldfastError('SETTING_INVALID', `"${text.slice(0, 40)}…" is longer than 255 bytes: shorten it`);
  }
  return Buffer.concat([Buffer.from([bytes.length]), bytes]);
}

function encodeBitmap(set: Iterable<Slot>, slots: number): Buffer {
  const bitmap = Buffer.alloc(Math.ceil(slots / 8));
  for (const slot of set) bitmap[slot >> 3] = (bitmap[slot >> 3] ?? 0) | (1 << (slot & 7));
  return bitmap;
}

function decodeBitmap(bitmap: Buffer, slots: number): Slot[] {
  const found: Slot[] = [];
  for (let slot = 0; slot < slots; slot += 1)
    if ((bitmap.readUInt8(slot >> 3) & (1 << (slot & 7))) !== 0) found.push(slot);
  return found;
}

function encodeVarint(value: bigint): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>= 7n) {
    if (rest < 0x80n) return Buffer.from([...bytes, Number(rest)]);
    bytes.push(Number(rest & 0x7fn) | 0x80);
  }
}

function decodeVarint(bytes: Buffer, from: number): { value: bigint; next: number } {
  let value = 0n;
  for (let at = from, shift = 0n; ; at += 1, shift += 7n) {
    const byte = bytes.readUInt8(at);
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return { value, next: at + 1 };
  }
}
