import { type AtomicContainer } from './model.ts';
import { type Change, type ContainerChange, type DeviceTree } from './device-tree.ts';
import { type LeafFilter } from './leaf-filter.ts';
import { encodeNotification, type NotificationForm } from './notification-encoder.ts';
import { encodeElems } from '../core/gnmi/wire-path.ts';

/**
 * What one kind of subscriber sees of a device's changes. Subscribers with equal requests share a view, and a change is
 * encoded once per view: the same bytes go to all of them.
 */
export interface SubscriberView {
  /** Equal for equal requests. */
  readonly key: string;
  readonly form: NotificationForm;
  /** Leaves whose changes are sent at once. */
  readonly onChange: LeafFilter;
  /** Leaves whose disappearance is sent: every subscribed one, sampled ones too (D3 leaves that open). */
  readonly subscribed: LeafFilter;
}

/** Null: nothing of this change concerns the view. */
export function encodeChange(tree: DeviceTree, view: SubscriberView, change: Change): Buffer | null {
  const { onChange, subscribed, form } = view;
  const updated = onChange.all ? change.updated : change.updated.filter((index) => onChange.covers(tree.shape(index)));
  const deleted: Buffer[] = [];
  for (const { path, leaves } of change.deleted) {
    // The subtree's own path would say too much to who subscribed to a part of it.
    if (subscribed.all) deleted.push(encodeElems(path.elems));
    else {
      for (const leaf of leaves)
        if (subscribed.covers(tree.shape(leaf))) deleted.push(encodeElems(tree.shape(leaf).path.elems));
    }
  }
  if (updated.length === 0 && deleted.length === 0) return null;
  return encodeNotification(tree, form, { timestampNs: change.timestampNs, updated, deleted });
}

/** A container is sent whole, or the subscribed part of it (A9, A10). */
export function encodeContainerChange(tree: DeviceTree, view: SubscriberView, change: ContainerChange): Buffer | null {
  const container = tree.model.containers[change.container];
  if (container === undefined) return null;
  return encodeContainer(tree, view.form, container, view.onChange, change.timestampNs);
}

export function encodeContainer(
  tree: DeviceTree,
  form: NotificationForm,
  container: AtomicContainer,
  filter: LeafFilter,
  timestampNs: bigint,
): Buffer | null {
  const updated = container.leaves.filter((leaf) => tree.has(leaf) && filter.covers(tree.shape(leaf)));
  if (updated.length === 0) return null;
  return encodeNotification(tree, form, { timestampNs, updated, deleted: [], container: container.elems });
}

/** Updates per notification of a walk: a full set comes in several messages, as from a real device. */
const walkUpdatesMax = 100;

/**
 * The present values of the covered leaves. With `atNs` they are a sample of that moment, else each has the time of its
 * last change; one notification holds leaves of one time, and never JSON of both kinds (E8).
 */
export function encodeWalk(tree: DeviceTree, form: NotificationForm, filter: LeafFilter, atNs?: bigint): Buffer[] {
  const indexes: number[] = [];
  for (let index = 0; index < tree.leafCount; index += 1) {
    if (tree.has(index) && filter.covers(tree.shape(index))) indexes.push(index);
  }
  return encodeLeaves(tree, form, indexes, atNs);
}

export function encodeLeaves(
  tree: DeviceTree,
  form: NotificationForm,
  indexes: readonly number[],
  atNs?: bigint,
): Buffer[] {
  const groups = new Map<string, { timestampNs: bigint; container: AtomicContainer | undefined; leaves: number[] }>();
  for (const index of indexes) {
    const timestampNs = atNs ?? tree.timestampNs(index);
    const container = tree.model.containers[tree.shape(index).container];
    const apart = form.values === 'proto' && tree.isPlainJson(index) ? 'json' : '';
    const key = `${timestampNs} ${container?.index ?? ''} ${apart}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { timestampNs, container, leaves: [index] });
    else group.leaves.push(index);
  }
  const inOrder = [...groups.values()].sort((a, b) => Number(a.timestampNs - b.timestampNs));
  return inOrder.flatMap(({ timestampNs, container, leaves }) => {
    const parts = { timestampNs, deleted: [] };
    if (container !== undefined) {
      return [encodeNotification(tree, form, { ...parts, updated: leaves, container: container.elems })];
    }
    const messages: Buffer[] = [];
    for (let at = 0; at < leaves.length; at += walkUpdatesMax) {
      messages.push(encodeNotification(tree, form, { ...parts, updated: leaves.slice(at, at + walkUpdatesMax) }));
    }
    return messages;
  });
}
