import { ownershipNumberMax } from '../../schemas/ownership.ts';
import { type Slot } from '../../schemas/slot.ts';
import { HoldfastError } from '../errors.ts';

/**
 * The held report: what a worker says of itself in the userData of every JoinGroup.
 *
 * HR-1. Whoever reported (slot, epoch) owes a release for it, even if no session was ever opened.
 * HR-2. It is complete: a slot whose claim was sent to the coordinator is in it, whatever became of the answer.
 * HR-3. Bytes of another member are refused with `PLAN_INVALID` or fit their bounds: 64 KiB, 1,024 slots, 63-bit epochs,
 *       no slot both held and on its way out, nothing after the end.
 *
 * Bytes, big-endian: version u8 = 1 or 2 · flags u8 (1 draining; others are ignored) · nonce u32 · capacity u16 · adopted
 * plan version u64 · slots u16 · four texts (length u8, UTF-8: instance, incarnation, peer, zone) · bitmaps held, releasing,
 * warm, unable (slot 0 is the lowest bit of the first byte) · lowest epoch u64 · per held or releasing slot, ascending, epoch
 * minus lowest as varint · version 2: per held slot, ascending, its weight as varint (0: not known).
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
  /** What a held slot costs, 1 … 2^32 − 1, in a unit that all members share; without an entry: not known yet. */
  readonly weights: ReadonlyMap<Slot, number>;
}

/** 1 has no weights, and its `warm` says nothing: programs that write it do not know what warm is. */
export type ReportFormat = 1 | 2;

export interface DecodedReport extends HeldReport {
  readonly format: ReportFormat;
  /** The number of slots that the member works with. */
  readonly slots: number;
}

/** Above any report there can be: 1,024 slots with 64-bit epochs make 17 KB. */
export const reportBytesMax = 65_536;
const slotsMax = 1_024;
const weightMax = 0xffff_ffff;
/** A varint of 64 bits. */
const varintBytesMax = 10;
const drainingFlag = 1;

export function encodeHeldReport(report: HeldReport, slots: number, format: ReportFormat = 2): Buffer {
  const texts = [report.instance, report.incarnation, report.peer, report.zone].map(encodeText);
  const head = Buffer.alloc(18);
  head.writeUInt8(format, 0);
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
  const varints = [...epochs.map((epoch) => epoch - lowest), ...(format === 2 ? weightsOf(report) : [])];
  return Buffer.concat([head, ...texts, ...maps, base, ...varints.map(encodeVarint)]);
}

/** Per held slot, ascending. */
function weightsOf({ held, weights }: HeldReport): bigint[] {
  return [...held.keys()]
    .sort((a, b) => a - b)
    .map((slot) => {
      const weight = weights.get(slot);
      return weight === undefined ? 0n : BigInt(Math.min(weightMax, Math.max(1, Math.trunc(weight))));
    });
}

/** Throws `PLAN_INVALID` for bytes that are not a report of a version that we know (HR-3). */
export function decodeHeldReport(bytes: Buffer): DecodedReport {
  if (bytes.length > reportBytesMax) throw invalid(`of ${bytes.length} bytes, ${reportBytesMax} are the most`);
  try {
    return decode(bytes);
  } catch (thrown) {
    if (thrown instanceof HoldfastError) throw thrown;
    throw new HoldfastError('PLAN_INVALID', 'a member of the group sent a held report that is cut short', {
      cause: thrown,
    });
  }
}

function invalid(what: string): HoldfastError {
  const message = `a member of the group sent a held report ${what}: stop other programs in this group`;
  return new HoldfastError('PLAN_INVALID', message);
}

function decode(bytes: Buffer): DecodedReport {
  const format = formatOf(bytes);
  const slots = bytes.readUInt16BE(16);
  if (slots === 0 || slots > slotsMax) throw invalid(`for ${slots} slots, 1 to ${slotsMax} are possible`);
  let at = 18;
  const text = (): string => {
    const from = at + 1;
    at = from + bytes.readUInt8(at);
    return bytes.toString('utf8', from, at);
  };
  const [instance, incarnation, peer, zone] = [text(), text(), text(), text()];
  const bitmap = (): Slot[] => {
    const from = at;
    at += Math.ceil(slots / 8);
    return decodeBitmap(bytes.subarray(from, at), slots);
  };
  const [heldSlots, releasingSlots, warm, unable] = [bitmap(), bitmap(), bitmap(), bitmap()];
  const lowest = bytes.readBigUInt64BE(at);
  at += 8;
  const varint = (): bigint => {
    const { value, next } = decodeVarint(bytes, at);
    at = next;
    return value;
  };
  const { held, releasing } = decodeEpochs(heldSlots, releasingSlots, lowest, varint);
  const weights = format === 2 ? decodeWeights(heldSlots, varint) : new Map<Slot, number>();
  if (at !== bytes.length) throw invalid(`with ${bytes.length - at} bytes after its end`);
  return {
    format,
    slots,
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
    weights,
  };
}

function formatOf(bytes: Buffer): ReportFormat {
  const version = bytes.readUInt8(0);
  if (version === 1 || version === 2) return version;
  throw new HoldfastError(
    'PLAN_INVALID',
    `a member of the group sent a held report of version ${version}: stop the programs of other versions in this group`,
    { facts: { version } },
  );
}

function decodeEpochs(
  heldSlots: readonly Slot[],
  releasingSlots: readonly Slot[],
  lowest: bigint,
  varint: () => bigint,
): Pick<HeldReport, 'held' | 'releasing'> {
  const held = new Map<Slot, bigint>();
  const releasing = new Map<Slot, bigint>();
  const isHeld = new Set(heldSlots);
  for (const slot of releasingSlots) if (isHeld.has(slot)) throw invalid(`in which slot ${slot} is held and released`);
  for (const slot of [...heldSlots, ...releasingSlots].sort((a, b) => a - b)) {
    const epoch = lowest + varint();
    if (epoch > ownershipNumberMax) throw invalid(`with an epoch of more than 64 bits for slot ${slot}`);
    (isHeld.has(slot) ? held : releasing).set(slot, epoch);
  }
  return { held, releasing };
}

function decodeWeights(heldSlots: readonly Slot[], varint: () => bigint): Map<Slot, number> {
  const weights = new Map<Slot, number>();
  for (const slot of heldSlots) {
    const weight = varint();
    if (weight > 0n) weights.set(slot, Math.min(weightMax, Number(weight)));
  }
  return weights;
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
  for (let first = 0; first < slots; first += 8) {
    const byte = bitmap.readUInt8(first >> 3);
    if (byte === 0) continue;
    for (let slot = first; slot < Math.min(slots, first + 8); slot += 1)
      if ((byte & (1 << (slot & 7))) !== 0) found.push(slot);
  }
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
    if (at - from === varintBytesMax) throw invalid('with a number of more than 64 bits');
    const byte = bytes.readUInt8(at);
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return { value, next: at + 1 };
  }
}
