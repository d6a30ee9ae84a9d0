import { expect, test } from '@jest/globals';
import { type LeafChange } from '../../query-api/state-feed.ts';
import { StreamQueue } from '../../query-api/stream-queue.ts';

const epoch = 5n;
const at = (seq: number, slot = 0) => ({ slot, epoch, seq: BigInt(seq) });

function change(key: string, seq: number, kind: 'sampled' | 'on-change' | 'delete' = 'sampled'): LeafChange {
  const leaf = kind === 'delete' ? null : ({ sampled: kind === 'sampled' } as NonNullable<LeafChange['leaf']>);
  return { ...at(seq), device: 'd', key, pathId: 0, leaf, isSameValue: false, formerly: null, timestampNs: 0n };
}

const taken = (queue: StreamQueue): string[] =>
  queue.takePosition().map(({ of, key, value, merged }) => `${of}|${key}@${value.seq}+${merged}`);

test('SQ1: all of a position is taken at once, positions in their order', () => {
  const queue = new StreamQueue(100);
  queue.put([change('a', 1), change('b', 1), change('c', 2)], 0, at(3));
  queue.put([change('a', 4)], 0, at(4));
  queue.seal(() => false);
  expect([taken(queue), taken(queue), taken(queue), taken(queue)]).toEqual([['d|b@1+0'], ['d|c@2+0'], ['d|a@4+1'], []]);
  expect(queue.whole).toEqual([at(4)]);
});

test('SQ2: deletes and on-change values never merge, nor does what was sealed', () => {
  const queue = new StreamQueue(100);
  queue.put([change('a', 1, 'on-change'), change('a', 2, 'on-change'), change('a', 3), change('a', 4)], 0, at(4));
  queue.put([change('a', 5, 'delete'), change('a', 6)], 0, at(6));
  queue.seal(() => false);
  queue.put([change('a', 7)], 0, at(7));
  expect([1, 2, 3, 4, 5].flatMap(() => taken(queue))).toEqual(['d|a@1+0', 'd|a@2+0', 'd|a@4+1', 'd|a@5+0', 'd|a@6+0']);
  expect([queue.sealedLength, queue.openLength, queue.coalesced]).toEqual([0, 1, 1]);
});

test('SQ3: a full generation takes whole positions or nothing, and what merges still', () => {
  const queue = new StreamQueue(2);
  const changes = [change('a', 1), change('b', 2), change('c', 2), change('a', 3), change('a', 4), change('d', 4)];
  expect(queue.put(changes, 0, at(9))).toBe(4); // position 2 goes in whole, 3 merges, 4 would need room
  expect(queue.through(0)).toEqual(at(3));
  queue.seal(() => false);
  expect(queue.put(changes, 4, at(9))).toBe(6); // sealed entries take no room
  expect(queue.through(0)).toEqual(at(9));
});

test('SQ4: a slot of which more is to come is not whole', () => {
  const queue = new StreamQueue(10);
  queue.start(at(1, 0));
  queue.start(at(1, 1));
  queue.seal((slot) => slot === 1);
  expect(queue.whole).toEqual([at(1, 0)]);
  queue.exclude(0);
  expect(queue.whole).toEqual([]);
});

test('a record of a displaced writer that comes late does not set the slot back', () => {
  const queue = new StreamQueue(10);
  queue.put([change('a', 7)], 0, at(8));
  queue.put([change('b', 3)], 0, at(8));
  expect(queue.through(0)).toEqual(at(8));
});
