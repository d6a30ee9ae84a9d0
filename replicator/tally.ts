/**
 * What happened to the updates and deletes of a slot, counted as plain numbers so that the rules stay free of metrics.
 * `metrics.ts` moves the numbers into the registry and clears them. Every field is one closed reason: nothing a device
 * said disappears without one of them growing.
 */
export const discardReasons = [
  'duplicate', // N14: equal time and equal value
  'stale', // older than the stored leaf (D6), or than a delete of its path (D7)
  'future', // further ahead of the receive time than the setting allows
  'wildcard', // P9: a device must not send wildcards in updates
  'valueless', // V18: no value, or no usable path
  'bad-json', // V16
  'too-deep', // more elements than any data model nests
  'repeated-path', // N12: a later update of the same notification has the same path
  'coalesced', // a sampled value that a newer one replaced before it was written: the slot was behind
] as const;
export type DiscardReason = (typeof discardReasons)[number];

export const tombstoneCauses = ['delete', 'replace', 'atomic', 'sweep', 'removed'] as const;
export type TombstoneCause = (typeof tombstoneCauses)[number];

export const oddities = [
  'empty', // N16: a notification with neither update nor delete
  'root-delete', // D8: a delete without a path, ignored
  'root-atomic', // an atomic message without a prefix: its scope would be the whole device, so it is read as plain
  'untimed', // N13: timestamp 0 or below
  'bad-utf8', // L5: strings that were not UTF-8
  'device-error', // T20: the deprecated error response
  'delete-evicted', // D7: more delete times than the bound
  'sweep-skipped', // a gap fell into the resync: what did not come back may have been lost on the way
] as const;
export type Oddity = (typeof oddities)[number];

export interface Tally {
  /** Leaves written. */
  stored: number;
  /** N15: what senders say they merged before it reached us. */
  senderDuplicates: number;
  readonly discarded: Record<DiscardReason, number>;
  readonly tombstones: Record<TombstoneCause, number>;
  readonly odd: Record<Oddity, number>;
}

function zeros<const K extends string>(names: readonly K[]): Record<K, number> {
  return Object.fromEntries(names.map((name) => [name, 0])) as Record<K, number>;
}

export function createTally(): Tally {
  return {
    stored: 0,
    senderDuplicates: 0,
    discarded: zeros(discardReasons),
    tombstones: zeros(tombstoneCauses),
    odd: zeros(oddities),
  };
}
