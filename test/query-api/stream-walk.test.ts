import { expect, test } from '@jest/globals';
import { type StreamFilter } from '../../query-api/stream-filter.ts';
import { StreamWalk } from '../../query-api/stream-walk.ts';
import { type LeafChange } from '../../query-api/state-feed.ts';
import { type LeafView } from '../../query-api/store.ts';

const keys = Array.from({ length: 3_000 }, (_, n) => `o:/${String(n).padStart(4, '0')}`);
const filter = {
  slotOf: () => 0,
  leaves: (device: string, after: string, count: number) =>
    keys.filter((key) => key > after).slice(0, count).map((key) => ({ device, key }) as LeafView), // prettier-ignore
} as unknown as StreamFilter;
const change = (device: string, key: string): LeafChange => ({ device, key }) as unknown as LeafChange;
const all = (): boolean => true;

test('SW1: a change is the walk’s until its leaf was walked', () => {
  const walk = new StreamWalk(filter);
  walk.add(['a']);
  expect(walk.next(all)?.leaves).toHaveLength(2_000);
  const brought = ['o:/1999', 'o:/2000'].map((key) => walk.brings(change('a', key)));
  expect([...brought, walk.brings(change('b', 'o:/2000'))]).toEqual([false, true, false]);
  expect([walk.isWhole(0), walk.next(all)?.leaves.length, walk.isWhole(0), walk.isOver]).toEqual([false, 1_000, true, true]);
}); // prettier-ignore

test('a device that comes back while it is walked is walked from its beginning: it may have changed behind the walk', () => {
  const walk = new StreamWalk(filter);
  walk.add(['a']);
  walk.next(all);
  walk.add(['a']);
  expect(walk.brings(change('a', 'o:/0000'))).toBe(true);
  expect([walk.next(all)?.leaves[0]?.key, walk.next(all)?.leaves.length]).toEqual(['o:/0000', 1_000]);
  expect([walk.isWhole(0), walk.isOver]).toEqual([true, true]); // SW2: it was counted once
});
