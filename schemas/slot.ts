/**
 * Slots: the unit of ownership, and the partition number of a device in every topic with a partition per slot.
 *
 * S1. A device's slot is what Kafka's default partitioner makes of its name, so a stock producer or consumer that keys
 *     by device name lands on the same partition.
 */
export type Slot = number;

const seed = 0x9747b28c;
const multiplier = 0x5bd1e995;

/** Kafka's murmur2 of a key, as a signed 32-bit integer. */
export function murmur2(key: Uint8Array): number {
  const length = key.length;
  const whole = length & ~3;
  let hash = seed ^ length;
  for (let at = 0; at < whole; at += 4) {
    let word = byteAt(key, at) | (byteAt(key, at + 1) << 8) | (byteAt(key, at + 2) << 16) | (byteAt(key, at + 3) << 24);
    word = Math.imul(word, multiplier);
    word = Math.imul(word ^ (word >>> 24), multiplier);
    hash = Math.imul(hash, multiplier) ^ word;
  }
  const rest = length - whole;
  if (rest === 3) hash ^= byteAt(key, whole + 2) << 16;
  if (rest >= 2) hash ^= byteAt(key, whole + 1) << 8;
  if (rest >= 1) hash = Math.imul(hash ^ byteAt(key, whole), multiplier);
  hash = Math.imul(hash ^ (hash >>> 13), multiplier);
  return hash ^ (hash >>> 15);
}

function byteAt(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0;
}

/** The slot of a device among `slots` of them (S1). */
export function slotOf(device: string, slots: number): Slot {
  // Kafka's toPositive clears the sign bit; it does not negate.
  return (murmur2(Buffer.from(device, 'utf8')) & 0x7fffffff) % slots;
}
