/**
 * What the replicator should make of a slot's telemetry, written to be obviously right and not to be fast: lists, linear
 * searches, nothing forgotten. The rules are those of apply.ts and slot-reducer.ts, said once more in another way.
 */
import { type LogRecord } from '../../core/kafka/log-reader.ts';
import { decodeFrame } from '../../schemas/frame.ts';
import { markerCodec } from '../../schemas/marker.ts';
import { decodeDeviceMessage, joinPath, type Notification } from '../../schemas/notification.ts';
import { compilePattern } from '../../schemas/path-pattern.ts';
import { formatElems, normaliseOrigin, parsePath, type PathElem } from '../../schemas/path.ts';
import { decodeHeader } from '../../schemas/position.ts';
import { leafKey } from '../../schemas/topics.ts';

interface ModelLeaf {
  readonly origin: string;
  readonly elems: readonly PathElem[];
  readonly timeNs: bigint;
  readonly value: string;
  readonly atomicRoot: string;
  readonly rpc: number;
}

interface ModelRpc {
  readonly paths: readonly string[];
  readonly updatesOnly: boolean;
  readonly seen: Set<string>;
  done: boolean;
  holed: boolean;
}

interface Place {
  readonly origin: string;
  readonly elems: readonly PathElem[];
}

function isWithin(place: Place, leaf: Place): boolean {
  return place.origin === leaf.origin && compilePattern({ ...place, target: '' }).matches(leaf.elems);
}

class ModelDevice {
  readonly leaves = new Map<string, ModelLeaf>();
  deletes: { place: Place; timeNs: bigint; rpc: number }[] = [];
  rpcs = new Map<number, ModelRpc>();

  notify(device: string, notification: Notification, rpc: number): void {
    const { timestampNs: timeNs, prefix, atomic } = notification;
    const updates = new Map<string, Place & { value: string }>();
    for (const { path, value } of notification.updates) {
      const place = joinPath(prefix, path);
      const key = leafKey(device, place.origin, formatElems(place.elems));
      updates.delete(key); // N12
      if (value !== null) updates.set(key, { ...place, value: value.toString('hex') });
    }
    const deletes = notification.deletes.map((path) => joinPath(prefix, path)).filter(({ elems }) => elems.length > 0); // D8
    for (const key of deletes.flatMap((place) => this.deletedBy(place, timeNs, updates))) this.leaves.delete(key);
    const root = atomic && prefix !== null && prefix.elems.length > 0 ? prefix : null;
    const spoken = notification.updates.find(({ value }) => value !== null);
    const first = spoken === undefined ? undefined : joinPath(prefix, spoken.path);
    const origin = root?.origin === '' ? (first?.origin ?? 'openconfig') : (root?.origin ?? 'openconfig');
    if (root !== null && (updates.size > 0 || deletes.length === 0)) {
      const scope = { origin, elems: root.elems };
      this.deletes.push({ place: scope, timeNs, rpc });
      for (const [key, leaf] of this.leaves) {
        if (!isWithin(scope, leaf) || leaf.timeNs > timeNs || updates.has(key)) continue; // A2, A7
        if (rpc !== 0 && leaf.rpc !== rpc) continue; // A9
        this.leaves.delete(key);
      }
    }
    for (const [key, { value, ...place }] of updates) {
      for (const watch of this.rpcs.values()) watch.seen.add(key);
      const stored = this.leaves.get(key);
      if (this.deletes.some((one) => [0, rpc].includes(one.rpc) && one.timeNs > timeNs && isWithin(one.place, place)))
        continue; // D7, A9
      if (stored !== undefined && stored.timeNs > timeNs) continue;
      if (stored?.timeNs === timeNs && stored.value === value) continue; // N14
      this.leaves.set(key, { ...place, timeNs, value, atomicRoot: root === null ? '' : formatElems(root.elems), rpc });
    }
  }

  /** The deletes of one notification are a set: each is judged by the leaves as they were before the first. */
  deletedBy(place: Place, timeNs: bigint, updates: ReadonlyMap<string, Place>): string[] {
    this.deletes.push({ place, timeNs, rpc: 0 });
    const isReplace = [...updates.values()].some((update) => isWithin(place, update));
    const hit = [...this.leaves].filter(([, leaf]) => isWithin(place, leaf));
    return hit
      .filter(([, leaf]) => leaf.timeNs < timeNs || (leaf.timeNs === timeNs && isReplace)) // D4, D6
      .flatMap(([key, leaf]) => [key, ...(isReplace ? [] : this.group(leaf))]) // A5
      .filter((key) => !updates.has(key));
  }

  group({ origin, atomicRoot, timeNs }: ModelLeaf): string[] {
    if (atomicRoot === '') return [];
    const root = { origin, elems: parsePath(atomicRoot).elems };
    const members = [...this.leaves].filter(([, leaf]) => isWithin(root, leaf));
    return members.every(([, leaf]) => leaf.atomicRoot === atomicRoot && leaf.timeNs === timeNs)
      ? members.map(([key]) => key)
      : [];
  }

  /** A `synced` of RPC 0 speaks for all of them. */
  sweep(rpc: number): void {
    for (const [number, watch] of this.rpcs) if (rpc === 0 || number === rpc) this.sweepOne(watch);
  }

  sweepOne(watch: ModelRpc): void {
    if (watch.done) return;
    watch.done = true;
    if (watch.updatesOnly || watch.holed) return;
    for (const [key, leaf] of this.leaves) {
      if (!watch.seen.has(key) && isSubscribed(watch, leaf)) this.leaves.delete(key);
    }
  }
}

function isSubscribed(watch: ModelRpc, leaf: Place): boolean {
  return watch.paths.some((text) => {
    const { origin, elems } = parsePath(text);
    return isWithin({ origin: normaliseOrigin(origin), elems }, leaf);
  });
}

/** The leaves after these records: key text to `time value`. Later copies of a position are ignored. */
export function referenceState(records: readonly LogRecord[]): Map<string, string> {
  const devices = new Map<string, ModelDevice>();
  let last = { epoch: 0n, seq: 0n };
  for (const record of records) {
    const header = decodeHeader(record.header!);
    if (header.epoch < last.epoch || (header.epoch === last.epoch && header.seq <= last.seq)) continue;
    if (header.epoch > last.epoch) for (const device of devices.values()) device.rpcs = new Map();
    else if (header.seq > last.seq + 1n) for (const device of devices.values()) hole(device);
    last = header;
    if (header.kind === 'owner') continue;
    const name = record.key!.toString();
    if (!devices.has(name)) devices.set(name, new ModelDevice());
    const device = devices.get(name)!;
    const { message } = decodeFrame(record.value!);
    if (header.kind === 'data') {
      const said = decodeDeviceMessage(message);
      if (said.kind === 'update') device.notify(name, said.notification, header.rpc);
      continue;
    }
    const marker = markerCodec.decode(message);
    if (header.kind === 'synced') device.sweep(header.rpc);
    else if (header.kind === 'gap') hole(device);
    else if (header.kind === 'closed') {
      device.rpcs = new Map();
      if (marker.reason === 'removed') devices.delete(name);
    } else {
      for (const rpc of new Set(marker.subscriptions.map((one) => one.rpc))) {
        const own = marker.subscriptions.filter((one) => one.rpc === rpc);
        const paths = own.map((one) => one.subscription!.path);
        const updatesOnly = own.some((one) => one.updatesOnly);
        device.rpcs.set(rpc, { paths, updatesOnly, seen: new Set(), done: false, holed: false });
      }
    }
  }
  const state = new Map<string, string>();
  for (const { leaves } of devices.values()) {
    for (const [key, { timeNs, value }] of leaves) state.set(key, `${timeNs} ${value}`);
  }
  return state;
}

function hole(device: ModelDevice): void {
  for (const watch of device.rpcs.values()) if (!watch.done) watch.holed = true;
}
