/**
 * Rendezvous hashing: every pair of a key and a name has a score, and whoever scores highest is first. A name that comes
 * or goes changes the order of no others, and every process computes the same without asking anybody.
 *
 * HS1. The same on every machine and in every release that may run beside this one: slots are assigned by it.
 */

/** 32 bits, uniform: FNV-1a over UTF-16 units, mixed at the end. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return mix(hash);
}

/** Score of a pair of hashes, 0 … 2³² − 1. */
export function scoreOf(keyHash: number, nameHash: number): number {
  return mix(Math.imul(keyHash, 0x9e3779b1) ^ nameHash);
}

/** The finaliser of MurmurHash3: every bit of the input changes half of the output's. */
function mix(value: number): number {
  let mixed = value ^ (value >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
