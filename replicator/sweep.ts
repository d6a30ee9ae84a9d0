import { type Marker } from '../schemas/marker.ts';
import { compilePattern, type PathPattern } from '../schemas/path-pattern.ts';
import { normaliseOrigin, parsePath, type PathElem } from '../schemas/path.ts';
import { type DeviceLeaves, type LeafEntry } from './device-leaves.ts';

/**
 * Mark and sweep after a resync (T17): when a session has synced, leaves that it did not speak of since it opened are
 * gone at the device. Pure.
 *
 * S1. Only leaves below paths of the session's own subscriptions are swept, per Subscribe RPC.
 * S2. Never for `updates_only`: such a session does not know the whole (M12).
 * S3. Every update counts as seen, stored or not: stale and duplicate ones too.
 * S4. A resync with a hole in it (a gap, lost positions) sweeps nothing: what is missing may be in the hole.
 * S5. A `synced` of RPC 0 speaks for the whole session, as ingest says it once every RPC has synced; one of another RPC
 *     speaks for that RPC alone.
 */
export interface RpcWatch {
  readonly patterns: readonly PathPattern[];
  /** Those of the patterns whose leaves a reader may merge, and those whose leaves it may not. */
  readonly sampled: readonly PathPattern[];
  readonly unsampled: readonly PathPattern[];
  readonly updatesOnly: boolean;
  /** Where `opened` lies in `telemetry`, and its ordinal: what was seen since counts. */
  readonly openedOffset: bigint;
  readonly openedOrdinal: number;
  synced: boolean;
  holed: boolean;
}

/** The Subscribe RPCs of one device's session. */
export class SessionWatch {
  readonly #rpcs = new Map<number, RpcWatch>();

  /** `opened` starts the resync of the RPCs it names; a session opened later may add RPCs and leaves the others alone (S4 of
   * the subscribe rules: subscriptions of an RPC never change). */
  opened(marker: Marker, at: { offset: bigint; ordinal: number }): void {
    const rpcs = new Set(marker.subscriptions.map((subscription) => subscription.rpc));
    for (const rpc of rpcs) {
      const own = marker.subscriptions.filter((subscription) => subscription.rpc === rpc);
      const sampled: PathPattern[] = [];
      const unsampled: PathPattern[] = [];
      for (const { subscription } of own) {
        if (subscription === undefined) continue;
        const pattern = patternOf(subscription.path);
        if (pattern !== null) (subscription.mode === 'sample' ? sampled : unsampled).push(pattern);
      }
      this.#rpcs.set(rpc, {
        patterns: [...sampled, ...unsampled],
        sampled,
        unsampled,
        updatesOnly: own.some((subscription) => subscription.updatesOnly),
        openedOffset: at.offset,
        openedOrdinal: at.ordinal,
        synced: false,
        holed: false,
      });
    }
  }

  closed(): void {
    this.#rpcs.clear();
  }

  /** What was lost may have spoken of anything (S4). */
  holed(): void {
    for (const watch of this.#rpcs.values()) if (!watch.synced) watch.holed = true;
  }

  /** The first sync of an RPC ends its resync; returns those that end now, none for a repeated or unknown one (S5, S12). */
  synced(rpc: number): RpcWatch[] {
    const ended: RpcWatch[] = [];
    for (const [number, watch] of this.#rpcs) {
      if (watch.synced || (rpc !== 0 && number !== rpc)) continue;
      watch.synced = true;
      ended.push(watch);
    }
    return ended;
  }

  of(rpc: number): RpcWatch | null {
    return this.#rpcs.get(rpc) ?? null;
  }

  /** RPCs whose session is known. */
  get size(): number {
    return this.#rpcs.size;
  }

  /** Where the oldest unfinished resync begins: whoever takes over must read from there. */
  unfinishedFrom(): bigint | null {
    let oldest: bigint | null = null;
    for (const { synced, openedOffset } of this.#rpcs.values()) {
      if (!synced && (oldest === null || openedOffset < oldest)) oldest = openedOffset;
    }
    return oldest;
  }
}

export function isSweeping(watch: RpcWatch): boolean {
  return !watch.updatesOnly && !watch.holed; // S2, S4
}

/** Leaves that the resync of `watch` did not bring back. */
export function unseen(leaves: DeviceLeaves, watch: RpcWatch): LeafEntry[] {
  if (!isSweeping(watch)) return [];
  return leaves
    .all()
    .filter((entry) => entry.seen < watch.openedOrdinal && covers(watch.patterns, entry.origin, entry.elems)); // S1, S3
}

export function covers(patterns: readonly PathPattern[], origin: string, elems: readonly PathElem[]): boolean {
  return patterns.some((pattern) => pattern.origin === origin && pattern.matches(elems));
}

/** A path that does not parse covers nothing: a sweep may leave too much, never take too much. */
function patternOf(text: string): PathPattern | null {
  try {
    const path = parsePath(text);
    return compilePattern({ ...path, origin: normaliseOrigin(path.origin) });
  } catch {
    return null;
  }
}
