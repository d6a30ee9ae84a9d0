import { expect, test } from '@jest/globals';
import { WantedSlots } from '../../query-api/wanted-slots.ts';
import { FakeClock } from '../support/fake-clock.ts';

function createWanted(own: number[]) {
  const clock = new FakeClock();
  const done: string[] = [];
  const wanted = new WantedSlots({
    slots: 4,
    own: new Set(own),
    lingerMs: 60_000,
    clock,
    acquire: (slot) => done.push(`+${slot}`),
    letGo: (slot) => done.push(`-${slot}`),
  });
  const since = (): string => done.splice(0).join(' ');
  return { clock, wanted, since };
}

test('H1: what becomes wanted is acquired, what is not any more is let go, the rest is left alone', () => {
  const { wanted, since } = createWanted([0, 1]);
  wanted.hold(new Set([1, 2]));
  expect(since()).toBe('-0 +2');
  wanted.hold(new Set([1, 2]));
  expect(since()).toBe('');
  expect([...wanted.held]).toEqual([1, 2]);
});

test('H1: a borrowed slot is held for all who need it, and stays when it becomes our own', async () => {
  const { clock, wanted, since } = createWanted([0]);
  const first = wanted.borrow([0, 3]);
  const second = wanted.borrow([3]);
  expect(since()).toBe('+3');
  first();
  first();
  await clock.advance(120_000);
  expect(since()).toBe('');
  wanted.hold(new Set([3]));
  expect(since()).toBe('-0');
  second();
  await clock.advance(120_000);
  expect([since(), [...wanted.held]]).toEqual(['', [3]]);
});

test('H2: it lingers after its last user, and the next one finds it', async () => {
  const { clock, wanted, since } = createWanted([]);
  wanted.borrow([2])();
  await clock.advance(59_000);
  const again = wanted.borrow([2]);
  await clock.advance(59_000);
  again();
  await clock.advance(59_999);
  expect(since()).toBe('+2');
  await clock.advance(1);
  expect(since()).toBe('-2');
  wanted.borrow([1])();
  wanted.stop();
  expect(clock.armed).toBe(0);
});
