import { expect, test } from '@jest/globals';
import { SlotFeed } from '../../query-api/slot-feed.ts';
import { type LeafChange, type StateListener } from '../../query-api/state-feed.ts';

const at = (seq: number) => ({ slot: 3, epoch: 1n, seq: BigInt(seq) });
const change = (seq: number) =>
  ({
    ...at(seq),
    device: 'd',
    key: 'o:/a',
    pathId: 0,
    leaf: null,
    isSameValue: false,
    formerly: null,
    timestampNs: 0n,
  }) satisfies LeafChange;

function listening(feed: SlotFeed, onChanges: () => void = () => undefined) {
  const heard: string[] = [];
  const listener: StateListener = {
    onChanges: (_slot, changes, through) => {
      heard.push(`${changes.map(({ seq }) => seq).join(' ')} to ${through.seq}`);
      onChanges();
    },
    onReset: () => heard.push('reset'),
  };
  feed.join(listener);
  return { listener, heard };
}

test('a position that only moved is said without changes, and one that did not is not said at all', () => {
  const feed = new SlotFeed(3);
  const { heard } = listening(feed);
  feed.tell(null, null);
  feed.tell(at(4), null);
  feed.tell(at(4), null);
  feed.tell(at(5), null);
  expect(heard).toEqual([' to 4', ' to 5']);
});

test('changes before the first whole position wait for it', () => {
  const feed = new SlotFeed(3);
  const { heard } = listening(feed);
  feed.take(change(4));
  feed.tell(null, at(4));
  feed.take(change(4));
  feed.take(change(6));
  feed.tell(at(4), at(6));
  feed.tell(at(6), null);
  expect(heard).toEqual(['4 4 to 4', '6 to 6']);
});

test('beyond the bound of what is kept back everybody takes the state anew, and then hears on (T1)', () => {
  const feed = new SlotFeed(3, 2);
  const { heard } = listening(feed);
  for (let part = 0; part < 4; part += 1) {
    feed.take(change(5));
    feed.tell(at(4), at(5));
  }
  feed.take(change(5));
  feed.tell(at(5), null);
  feed.take(change(6));
  feed.tell(at(6), null);
  expect(heard).toEqual([' to 4', 'reset', '6 to 6']);
});

test('who joins or leaves while a batch is told does not hear it (T2)', () => {
  const feed = new SlotFeed(3);
  const late: { heard: string[] }[] = [];
  listening(feed, () => {
    late.push(listening(feed));
    feed.leave(second.listener);
  });
  const second = listening(feed);
  feed.tell(at(1), null);
  expect([late.length, late[0]!.heard, second.heard]).toEqual([1, [], []]);
});
