import { type Acceptance, accept, deletes } from '../schemas/accept.ts';
import { type RecordKind } from '../schemas/position.ts';
import { compilePattern } from '../schemas/path-pattern.ts';
import { formatElems, parsePath } from '../schemas/path.ts';
import { type LeafEntry } from './device-leaves.ts';
import { type DeviceFacts, type Exploded, type Place } from './explode.ts';
import { type DeviceState } from './slot-table.ts';
import { covers, unseen, type RpcWatch } from './sweep.ts';
import { type Tally, type TombstoneCause } from './tally.ts';

/**
 * The rules by which what a device says changes its leaves. Pure but for the table it is given: the same records in the
 * same order make the same table and the same changes, whoever applies them.
 *
 * Per notification: D4 deletes before updates · D6 a lone delete removes what is strictly older, one of a replace or of an
 * atomic message also what is as old · D7 an update older than a delete of its path is refused · N12 of equal paths the
 * last counts · N14 equal time and value is a duplicate, equal time and another value is stored · A2 A7 A8 an atomic
 * message replaces everything older below its prefix · A5 deleting a leaf of an intact atomic group deletes the group ·
 * A9 where a session has several RPCs, an atomic message clears what its own RPC brought: each speaks for its part of a
 * container, and the record of a leaf says whose it is, so a successor decides alike.
 *
 * A change is an entry of the table, already changed: with a value it is written, without one it becomes a tombstone. An
 * entry occurs once among the changes of a record, and not at all if nothing of it changed.
 */
export interface RecordPoint {
  readonly kind: RecordKind;
  readonly rpc: number;
  readonly epoch: bigint;
  readonly seq: bigint;
  readonly receivedAtNs: bigint;
  readonly offset: bigint;
  /** Counts the records that this process read of the slot. */
  readonly ordinal: number;
}

export interface ApplyContext {
  readonly facts: DeviceFacts;
  readonly tally: Tally;
  /** How far ahead of its receipt an update may be; null: as far as it likes. */
  readonly futureLimitNs: bigint | null;
}

/** What a record leaves behind even where its changes are known to be in `state` already: seen marks and delete times. */
export function observe(device: DeviceState, said: Exploded, at: RecordPoint, context: ApplyContext): LeafEntry[] {
  device.leaves.trim();
  const timeNs = orderTimeNs(said, at, context.facts);
  const entries = said.updates.map((update, index) => {
    const entry = device.leaves.entry(update.origin, update.elems);
    entry.seen = at.ordinal; // S3 of sweep.ts, so before anything is refused
    entry.lastIndex = index;
    return entry;
  });
  if (isFuture(device, timeNs, at, context)) return entries;
  const noted = { deleteNs: timeNs, receivedAtNs: at.receivedAtNs, offset: at.offset, rpc: 0 };
  for (const place of said.deletes) context.tally.odd['delete-evicted'] += device.window.note(place, noted);
  if (said.atomic !== null && said.complete) {
    context.tally.odd['delete-evicted'] += device.window.note(said.atomic, { ...noted, rpc: at.rpc }); // A9
  }
  if (device.latestNs === null || timeNs > device.latestNs) device.latestNs = timeNs;
  return entries;
}

/** Applies one notification; returns what changed, each entry once. */
export function applyNotification(
  device: DeviceState,
  said: Exploded,
  at: RecordPoint,
  context: ApplyContext,
): LeafEntry[] {
  const timeNs = orderTimeNs(said, at, context.facts);
  const refused = isFuture(device, timeNs, at, context);
  const entries = observe(device, said, at, context);
  if (refused) {
    context.tally.discarded.future += said.updates.length;
    return [];
  }
  const doomed = doomedBy(device, said, at, timeNs, context.facts);
  const changed: LeafEntry[] = [];
  for (const [index, update] of said.updates.entries()) {
    const entry = entries[index] as LeafEntry;
    if (entry.lastIndex !== index) {
      context.tally.discarded['repeated-path'] += 1; // N12
      continue;
    }
    const overtaken = device.window.refuses(entry, timeNs, at); // D7
    const outcome = overtaken ? 'stale' : acceptance(entry, timeNs, update.value, context.facts);
    if (outcome !== 'store') {
      context.tally.discarded[outcome] += 1;
      if (outcome === 'duplicate' || overtaken) doomed.delete(entry); // D7: refused, so nothing is replaced; another RPC may hold it (A9)
      continue;
    }
    doomed.delete(entry); // D4: replaced, not deleted
    store(device, entry, update.value, said, at);
    context.tally.stored += 1;
    changed.push(entry);
  }
  for (const [entry, cause] of doomed) {
    device.leaves.remove(entry);
    context.tally.tombstones[cause] += 1;
    changed.push(entry);
  }
  return changed;
}

/** Ends resyncs: what the session did not bring back is removed. */
export function applySync(device: DeviceState, watches: readonly RpcWatch[], tally: Tally): LeafEntry[] {
  return watches.flatMap((watch) => {
    if (watch.holed) tally.odd['sweep-skipped'] += 1;
    return removeAll(device, unseen(device.leaves, watch), 'sweep', tally);
  });
}

/** The device was taken out of the configuration: every leaf goes. */
export function applyRemoval(device: DeviceState, tally: Tally): LeafEntry[] {
  return removeAll(device, device.leaves.all(), 'removed', tally);
}

function removeAll(device: DeviceState, entries: LeafEntry[], cause: TombstoneCause, tally: Tally): LeafEntry[] {
  for (const entry of entries) device.leaves.remove(entry);
  tally.tombstones[cause] += entries.length;
  return entries;
}

function orderTimeNs(said: Exploded, at: RecordPoint, facts: DeviceFacts): bigint {
  return facts.orderByReceiveTime ? at.receivedAtNs : said.timestampNs; // N13
}

function orderTimeOf(entry: LeafEntry, facts: DeviceFacts): bigint {
  return facts.orderByReceiveTime ? entry.receivedAtNs : entry.timestampNs;
}

function isFuture(device: DeviceState, timeNs: bigint, at: RecordPoint, context: ApplyContext): boolean {
  const limitNs = context.futureLimitNs;
  if (limitNs === null || timeNs - at.receivedAtNs <= limitNs) return false;
  return device.latestNs !== null && timeNs - device.latestNs > limitNs;
}

/** Asked of doomed leaves too: they are no newer than the notification, so anything but their very self replaces them. */
function acceptance(entry: LeafEntry, timestampNs: bigint, value: Buffer, facts: DeviceFacts): Acceptance {
  if (entry.value === null) return 'store';
  return accept({ timestampNs: orderTimeOf(entry, facts), value: entry.value }, { timestampNs, value });
}

function store(device: DeviceState, entry: LeafEntry, value: Buffer, said: Exploded, at: RecordPoint): void {
  device.leaves.set(entry, value);
  entry.timestampNs = said.timestampNs;
  entry.receivedAtNs = at.receivedAtNs;
  entry.atomicRoot = said.atomic === null ? '' : formatElems(said.atomic.elems);
  entry.rpc = at.rpc;
  const watch = device.session.of(at.rpc);
  if (watch === null || watch === entry.watch) return; // a session that opened before our time: what the record said stays
  entry.watch = watch;
  entry.sampled =
    covers(watch.sampled, entry.origin, entry.elems) && !covers(watch.unsampled, entry.origin, entry.elems);
}

/** What the notification removes, before its updates, and why. */
function doomedBy(
  device: DeviceState,
  said: Exploded,
  at: RecordPoint,
  timeNs: bigint,
  facts: DeviceFacts,
): Map<LeafEntry, TombstoneCause> {
  const doomed = new Map<LeafEntry, TombstoneCause>();
  for (const place of said.deletes) {
    const covered = device.leaves.covered(place); // D1, D9
    const isReplace = said.updates.length > 0 && replaces(place, said, covered);
    for (const entry of covered) {
      if (!deletes({ timestampNs: orderTimeOf(entry, facts) }, timeNs, isReplace ? 'replace' : 'lone')) continue;
      doomed.set(entry, isReplace ? 'replace' : 'delete');
      if (isReplace || entry.atomicRoot === '') continue;
      for (const member of intactGroup(device, entry)) doomed.set(member, 'delete'); // A5
    }
  }
  if (said.atomic !== null && said.complete) {
    for (const entry of device.leaves.covered(said.atomic)) {
      if (!deletes({ timestampNs: orderTimeOf(entry, facts) }, timeNs, 'replace')) continue; // A7
      if (at.rpc !== 0 && entry.rpc !== at.rpc) continue; // A9
      doomed.set(entry, 'atomic');
    }
  }
  return doomed;
}

/** D4: delete and update of one subtree in one notification. */
function replaces(place: Place, said: Exploded, covered: readonly LeafEntry[]): boolean {
  if (covered.length === 0) return false;
  const pattern = compilePattern({ ...place, target: '' });
  return said.updates.some((update) => update.origin === place.origin && pattern.matches(update.elems));
}

/** The leaves of the atomic group that the entry belongs to, if nothing plain was written below its prefix since (A3). */
function intactGroup(device: DeviceState, entry: LeafEntry): LeafEntry[] {
  const group = device.leaves.covered({ origin: entry.origin, elems: parsePath(entry.atomicRoot).elems });
  const isIntact = group.every(
    (member) => member.atomicRoot === entry.atomicRoot && member.timestampNs === entry.timestampNs,
  );
  return isIntact ? group : [];
}
