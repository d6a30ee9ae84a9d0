import { expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import { accept, deletes } from '../../schemas/accept.ts';

const at = (timestampNs: bigint, value = 'a') => ({ timestampNs, value: Buffer.from(value) });

test.each([
  ['nothing stored', undefined, at(5n), undefined, 'store'],
  ['newer', at(4n), at(5n), undefined, 'store'],
  ['newer, same value', at(4n, 'b'), at(5n, 'b'), undefined, 'store'],
  ['older', at(6n), at(5n), undefined, 'stale'],
  ['N14: equal time, equal value', at(5n, 'b'), at(5n, 'b'), undefined, 'duplicate'],
  ['N14: equal time, other value', at(5n, 'b'), at(5n, 'c'), undefined, 'store'],
  ['N13: negative times are times', at(-5n), at(-4n), undefined, 'store'],
  ['N13: always 0', at(0n, 'b'), at(0n, 'c'), undefined, 'store'],
  ['one ns newer than a double can tell', at(1787000000000000001n), at(1787000000000000002n), undefined, 'store'],
  ['D7: older than a newer delete', undefined, at(5n), 6n, 'stale'],
  ['D7: of the time of the delete', undefined, at(6n), 6n, 'store'],
  ['D7: newer than the delete', undefined, at(7n), 6n, 'store'],
] as const)('%s', (_name, stored, update, deletedNs, expected) => {
  expect(accept(stored, update, deletedNs)).toBe(expected);
});

test('D6, D4: a lone delete takes what is strictly older, a replace what is of its time too', () => {
  expect([4n, 5n, 6n].map((timestampNs) => deletes({ timestampNs }, 5n))).toEqual([true, false, false]);
  expect([4n, 5n, 6n].map((timestampNs) => deletes({ timestampNs }, 5n, 'replace'))).toEqual([true, true, false]);
});

test('A1, N14: updates and deletes of distinct times end in one state, whatever the order of arrival', () => {
  const event = fc.record({
    kind: fc.constantFrom('update', 'delete'),
    timestampNs: fc.bigInt({ min: -20n, max: 20n }),
  });
  const events = fc.uniqueArray(event, { selector: (e) => e.timestampNs, maxLength: 8 });
  const shuffled = events.chain((list) =>
    fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })),
  );
  const play = (list: readonly { kind: string; timestampNs: bigint }[]): bigint | undefined => {
    let stored: ReturnType<typeof at> | undefined;
    let deletedNs: bigint | undefined;
    for (const { kind, timestampNs } of list) {
      if (kind === 'update') {
        const update = at(timestampNs, String(timestampNs));
        if (accept(stored, update, deletedNs) === 'store') stored = update;
      } else {
        if (stored !== undefined && deletes(stored, timestampNs)) stored = undefined;
        if (deletedNs === undefined || timestampNs > deletedNs) deletedNs = timestampNs;
      }
    }
    return stored?.timestampNs;
  };
  fc.assert(fc.property(shuffled, ([one, other]) => expect(play(one)).toBe(play(other))));
});
