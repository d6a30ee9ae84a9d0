/**
 * The accept rule: whether an update changes what is stored for its leaf. Pure; the replicator applies it, its tests and
 * the fleet of readers agree on it.
 *
 * A1. Order is the device's timestamp, never arrival: the state after any order of arrival of updates and deletes with
 *     distinct times is the same (N14, D7).
 * A2. Equal time: equal value is a duplicate, a different one is stored, the last in the log wins (N14).
 */
export interface TimedValue {
  readonly timestampNs: bigint;
  /** Encoded TypedValue: values are equal if field and bytes are; JSON is not normalised. */
  readonly value: Uint8Array;
}

export type Acceptance = 'store' | 'duplicate' | 'stale';

/** @param deletedNs time of the newest delete known to cover the leaf (D7), if any. */
export function accept(stored: TimedValue | undefined, update: TimedValue, deletedNs?: bigint): Acceptance {
  if (deletedNs !== undefined && update.timestampNs < deletedNs) return 'stale';
  if (stored === undefined || update.timestampNs > stored.timestampNs) return 'store';
  if (update.timestampNs < stored.timestampNs) return 'stale';
  return Buffer.compare(stored.value, update.value) === 0 ? 'duplicate' : 'store';
}

/**
 * A lone delete removes what is strictly older (D6); the deletes of a replace, and those an atomic message implies, also
 * remove leaves of equal time that earlier messages stored (D4).
 */
export type DeleteKind = 'lone' | 'replace';

/** Whether a delete at `deleteNs` removes the stored leaf. */
export function deletes(stored: Pick<TimedValue, 'timestampNs'>, deleteNs: bigint, kind: DeleteKind = 'lone'): boolean {
  return kind === 'lone' ? stored.timestampNs < deleteNs : stored.timestampNs <= deleteNs;
}
