/**
 * A leaf as JSON text, by hand: values must keep digits that `JSON.stringify` of a number would round, and text that a
 * device sent as JSON goes through as it came.
 */
import { formatPosition } from '../schemas/position.ts';
import { type Slot } from '../schemas/slot.ts';
import { decodeTypedValue, formatValueJson, type TypedValue, valueType, type ValueEncoding } from '../schemas/value.ts';
import { type LeafView } from './store.ts';

export function formatLeaf(leaf: LeafView, slot: Slot, encoding: ValueEncoding, nowNs: bigint): string {
  const { beforeAge, afterAge } = leafParts(leaf, slot, encoding);
  return `${beforeAge}${ageMs(leaf, nowNs)}${afterAge}}`;
}

/** The text around the age, the one part that is another in each answer; the closing brace is the caller's. */
export interface LeafParts {
  readonly beforeAge: string;
  readonly afterAge: string;
}

export function leafParts(leaf: LeafView, slot: Slot, encoding: ValueEncoding): LeafParts {
  const { type, text } = valueText(leaf.value, encoding);
  const position = formatPosition({ slot, epoch: leaf.epoch, seq: leaf.seq });
  return {
    beforeAge:
      `{"device":${JSON.stringify(leaf.device)},"origin":${JSON.stringify(leaf.origin)},"path":${JSON.stringify(leaf.path)}` +
      `,"value":${text},"type":"${type}","timestamp":"${leaf.timestampNs}","ageMs":`,
    afterAge: `,"position":"${position}"`,
  };
}

function valueText(bytes: Buffer, encoding: ValueEncoding): { type: string; text: string } {
  const value = decoded(bytes);
  // Not a value: no device and no replicator of ours writes such a leaf, and a reader is better shown than spared.
  if (value === null) return { type: 'bytes', text: JSON.stringify(bytes.toString('base64')) };
  return { type: valueType(value), text: formatValueJson(value, encoding) };
}

function decoded(bytes: Buffer): TypedValue | null {
  try {
    return decodeTypedValue(bytes);
  } catch {
    return null;
  }
}

/** Now minus the device's time (its time of receipt if it gave none), not below 0: clocks of devices run ahead. */
export function ageMs(leaf: Pick<LeafView, 'timestampNs' | 'receivedAtNs'>, nowNs: bigint): number {
  const sinceNs = leaf.timestampNs === 0n ? leaf.receivedAtNs : leaf.timestampNs;
  return nowNs > sinceNs ? Number((nowNs - sinceNs) / 1_000_000n) : 0;
}
