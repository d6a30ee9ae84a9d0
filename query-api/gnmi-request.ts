/** What of a gNMI request is checked before it is looked at more closely: extensions, bounds, the device. Pure. */
import { status } from '@grpc/grpc-js';
import { invalid, type Refusal, unimplemented } from '../core/gnmi/refusal.ts';
import { type Extension, type GnmiEncoding, type History, type SubscriptionList } from '../schemas/gnmi.ts';
import { type Path } from '../schemas/path.ts';
import { slotOf, type Slot } from '../schemas/slot.ts';
import { type SlotFreshness } from './slot-freshness.ts';
import { type Rows } from './tables.ts';

/** What we can say everything in; PROTO hands out values as devices sent them (E6). */
export const gnmiOffers: readonly GnmiEncoding[] = ['JSON', 'JSON_IETF', 'PROTO'];

/**
 * The depth asked for, 0: no limit. Extensions we do not know never change anything (spec 2.8). `mode` null: of a Get.
 */
export function depthOf(extensions: readonly Extension[], mode: SubscriptionList['mode'] | null): number | Refusal {
  let depth = 0;
  for (const extension of extensions) {
    if (extension.history !== undefined) return refuseHistory(extension.history, mode);
    if (extension.depth !== undefined) depth = extension.depth.level;
  }
  return depth;
}

/** What would be wrong anywhere is told apart from what only we do not serve. */
function refuseHistory({ snapshotTime, range }: History, mode: SubscriptionList['mode'] | null): Refusal {
  if (mode !== null && snapshotTime !== undefined && mode !== 'ONCE') {
    return invalid('history: snapshot_time goes with mode ONCE alone');
  }
  if (mode !== null && range !== undefined) {
    if (mode !== 'STREAM') return invalid('history: range goes with mode STREAM alone');
    if (range.start > range.end) return invalid('history: the range starts after its end');
  }
  return unimplemented('the history extension is not supported');
}

export interface PathBounds {
  readonly maxPathElements: number;
  readonly gnmiMaxSubscriptions: number;
}

export function refuseBounds(
  paths: readonly (Path | undefined)[],
  prefix: Path | undefined,
  bounds: PathBounds,
): Refusal | null {
  if (paths.length > bounds.gnmiMaxSubscriptions) {
    const details = `${paths.length} paths in one request; at most ${bounds.gnmiMaxSubscriptions} are served, use several requests`;
    return { code: status.RESOURCE_EXHAUSTED, details };
  }
  const common = prefix?.elems.length ?? 0;
  const longest = paths.reduce((most, path) => Math.max(most, common + (path?.elems.length ?? 0)), common);
  if (longest <= bounds.maxPathElements) return null;
  return invalid(`a path has ${longest} elements, more than the ${bounds.maxPathElements} allowed`);
}

/** Null: all devices, those that come later too. */
export type AskedDevice = string | null;

/** Throws nothing; a refusal says what is wrong with the target (S15). */
export function askedDevice(
  target: string,
  tables: { readonly loaded: boolean; readonly devices: Pick<Rows<unknown>, 'get'> },
): { readonly device: AskedDevice } | Refusal {
  if (target === '') return invalid('prefix.target is missing: name a device, or * for all of them');
  if (!tables.loaded) return unavailable('this instance is still reading its tables; try again in a second');
  if (target === '*') return { device: null };
  if (tables.devices.get(target) !== undefined) return { device: target };
  return { code: status.NOT_FOUND, details: `there is no device ${JSON.stringify(target.slice(0, 200))}` };
}

export const unavailable = (details: string): Refusal => ({ code: status.UNAVAILABLE, details });

/** An instance that has not read a slot to its end would leave out leaves without saying so. */
export function refuseIncomplete(
  devices: Iterable<string>,
  slots: number,
  freshness: (slot: Slot) => SlotFreshness,
): Refusal | null {
  for (const slot of new Set([...devices].map((device) => slotOf(device, slots)))) {
    const fresh = freshness(slot);
    if (fresh.kind === 'absent') return unavailable(`slot ${slot} is not held by this instance; ask another one`);
    if (fresh.kind === 'incomplete') return unavailable(`slot ${slot} cannot be answered for yet: ${fresh.reason}`);
  }
  return null;
}
