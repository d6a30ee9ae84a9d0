import { describe, expect, test } from '@jest/globals';
import { type FedChange } from '../../query-api/gnmi-hub.ts';
import { GnmiOutbox, type Pending } from '../../query-api/gnmi-outbox.ts';
import { type LeafView } from '../../query-api/store.ts';

const root = 'openconfig:/r';
const fed = (name: string, { isSet = false, roots = [root], formerNs = 0n } = {}): FedChange => {
  const key = `openconfig:/r/${name}`;
  const leaf = isSet ? ({ key } as LeafView) : null;
  const position = { slot: 0, device: 'd', epoch: 1n, seq: 1n };
  const change = { ...position, key, pathId: 0, leaf, isSameValue: false, formerly: null, timestampNs: 1n };
  return { change, roots, formerNs };
};
const put = (outbox: GnmiOutbox, change: FedChange): boolean =>
  outbox.put('d', change.change.key, change, change.change.leaf === null);
const keys = (entries: readonly Pending[]): string[] =>
  entries.flatMap((entry) => (entry.kind === 'leaf' ? [entry.key.slice(root.length + 1)] : []));

describe('deletes that wait for their atomic group', () => {
  test('are found by its root, each once, and are out of the queue then; what is only set is not among them', () => {
    const outbox = new GnmiOutbox(100);
    for (const change of [fed('a'), fed('b', { isSet: true }), fed('c'), fed('c', { isSet: true })])
      put(outbox, change);
    put(outbox, fed('d', { roots: [] }));
    expect(keys(outbox.takeDeletes('d', root))).toEqual(['a', 'c']);
    expect(outbox.takeDeletes('d', root)).toEqual([]);
    expect(keys([outbox.take()!, outbox.take()!])).toEqual(['b', 'd']);
    expect(outbox.take()).toBeUndefined();
  });

  test('are not found any more once they have left in turn', () => {
    const outbox = new GnmiOutbox(100);
    put(outbox, fed('a'));
    put(outbox, fed('b'));
    expect(keys([outbox.take()!])).toEqual(['a']);
    expect(keys(outbox.takeDeletes('d', root))).toEqual(['b']);
  });

  test('keep every group that the reader may take the leaf to be in, the newest first, and the latest time', () => {
    const outbox = new GnmiOutbox(100);
    put(outbox, fed('x/a', { isSet: true, roots: [`${root}/x`, root], formerNs: 5n }));
    put(outbox, fed('x/a', { roots: [`${root}/x`], formerNs: 4n }));
    const [entry] = outbox.takeDeletes('d', root);
    expect(entry).toMatchObject({ roots: [`${root}/x`, root], formerNs: 5n });
    expect(outbox.takeDeletes('d', `${root}/x`)).toEqual([]);
  });

  test('behind the removal of their device they wait for it, as all else does (O4)', () => {
    const outbox = new GnmiOutbox(100);
    outbox.putMarker({ kind: 'device-removed', device: 'd', timestampNs: 0n });
    put(outbox, fed('a'));
    expect(outbox.takeDeletes('d', root)).toEqual([]);
    outbox.take();
    expect(keys(outbox.takeDeletes('d', root))).toEqual(['a']);
  });
});

test('an entry holds its own changes and none that came with them (O5)', () => {
  const outbox = new GnmiOutbox(100);
  const [first, second] = [fed('a'), fed('a', { isSet: true })];
  for (const change of [first, fed('b'), second]) put(outbox, change);
  const entry = outbox.take();
  expect(entry).toMatchObject({ deleted: first.change, updated: second.change });
  const held = JSON.stringify(entry, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
  expect(held).not.toContain('/r/b');
});
