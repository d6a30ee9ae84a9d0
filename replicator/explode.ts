import { verbatimJson } from '../schemas/json-text.ts';
import { joinPath, type Notification } from '../schemas/notification.ts';
import { hasWildcard } from '../schemas/path-pattern.ts';
import { defaultOrigin, type PathElem } from '../schemas/path.ts';
import { decodeTypedValue, encodeTypedValue } from '../schemas/value.ts';
import { jsonLeaves } from './json-leaves.ts';
import { type Tally } from './tally.ts';

/**
 * One notification as the replicator's rules see it: full paths, origins said, what cannot be a leaf counted and left
 * out. Pure. Rules: N1 N2 (prefix ++ path), N6 N7 (no origin means `openconfig`, from wherever it came), P9 (no wildcards
 * in updates), V16 V18 (bad JSON, no value), D8 (delete without a path), A1 A8 (scope of an atomic message).
 */
export interface DeviceFacts {
  /** D8: a delete of the empty path means everything of its origin. */
  readonly honourRootDelete: boolean;
  /** N13: the device's times are no good for ordering. */
  readonly orderByReceiveTime: boolean;
  /** JSON objects become one leaf per member. */
  readonly explodeJson: boolean;
}

export const plainFacts: DeviceFacts = { honourRootDelete: false, orderByReceiveTime: false, explodeJson: false };

/** A place in one device's tree; the origin is always said. */
export interface Place {
  readonly origin: string;
  readonly elems: readonly PathElem[];
}

export interface LeafUpdate extends Place {
  /** Encoded TypedValue, as received. */
  readonly value: Buffer;
}

export interface Exploded {
  readonly timestampNs: bigint;
  readonly deletes: readonly Place[];
  /** In the order received: of equal paths the last counts (N12), which `apply` decides. */
  readonly updates: readonly LeafUpdate[];
  /** A1: where an atomic message's leaves live; null for a plain message. */
  readonly atomic: Place | null;
  /** A2 A8 A4: the message says all there is below `atomic`; not so if it holds deletes only. */
  readonly complete: boolean;
}

/** Trees are walked recursively, and a device must not choose the depth of our stack. */
const elemsMax = 128;

export function explode(notification: Notification, facts: DeviceFacts, tally: Tally): Exploded {
  const { prefix, timestampNs } = notification;
  if (timestampNs <= 0n) tally.odd.untimed += 1;
  tally.discarded.valueless += notification.skippedUpdates;
  tally.odd['bad-utf8'] += notification.invalidStrings;
  const updates: LeafUpdate[] = [];
  for (const update of notification.updates) {
    tally.senderDuplicates += update.duplicates;
    const place = joinPath(prefix, update.path);
    if (update.value === null) tally.discarded.valueless += 1;
    else if (place.elems.length > elemsMax) tally.discarded['too-deep'] += 1;
    else if (hasWildcard(place.elems)) tally.discarded.wildcard += 1;
    else pushUpdate(updates, place, update.value, facts, tally);
  }
  const deletes: Place[] = [];
  for (const path of notification.deletes) {
    const place = joinPath(prefix, path);
    if (place.elems.length > 0 || facts.honourRootDelete) deletes.push(place);
    else tally.odd['root-delete'] += 1; // D8
  }
  const atomic = notification.atomic ? atomicScope(notification, updates, facts, tally) : null;
  const empty = notification.updates.length === 0 && notification.deletes.length === 0;
  if (empty) tally.odd.empty += 1; // N16
  const complete = atomic !== null && (notification.updates.length > 0 || empty); // A8, A4
  return { timestampNs, deletes, updates, atomic, complete };
}

function atomicScope(
  notification: Notification,
  updates: readonly LeafUpdate[],
  facts: DeviceFacts,
  tally: Tally,
): Place | null {
  const elems = notification.prefix?.elems ?? [];
  if (elems.length === 0 && !facts.honourRootDelete) {
    tally.odd['root-atomic'] += 1; // as with D8, by the letter every such message would wipe the device
    return null;
  }
  const said = notification.prefix?.origin ?? '';
  return { origin: said === '' ? (updates[0]?.origin ?? defaultOrigin) : said, elems }; // N7: it may stand in the paths
}

// Tag bytes of TypedValue's json_val (10) and json_ietf_val (11), both length-delimited.
const jsonTag = 0x52;
const jsonIetfTag = 0x5a;

function pushUpdate(updates: LeafUpdate[], place: Place, value: Buffer, facts: DeviceFacts, tally: Tally): void {
  const tag = value[0];
  if (tag !== jsonTag && tag !== jsonIetfTag) {
    updates.push({ origin: place.origin, elems: place.elems, value });
    return;
  }
  const typed = decodeTypedValue(value);
  const json = typed?.kind === 'json' || typed?.kind === 'json_ietf' ? typed : null;
  const text = json === null ? undefined : verbatimJson(json.value);
  if (json === null || text === undefined) {
    tally.discarded['bad-json'] += 1; // V16: only this update is lost
    return;
  }
  if (!facts.explodeJson) {
    updates.push({ origin: place.origin, elems: place.elems, value });
    return;
  }
  for (const leaf of jsonLeaves(text)) {
    const below = leaf.names.map((name): PathElem => ({ name, keys: new Map() }));
    if (hasWildcard(below)) {
      tally.discarded.wildcard += 1;
      continue;
    }
    updates.push({
      origin: place.origin,
      elems: [...place.elems, ...below],
      value: encodeTypedValue({ kind: json.kind, value: Buffer.from(leaf.text) }),
    });
  }
}
