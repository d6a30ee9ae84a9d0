import { expect, test } from '@jest/globals';
import { Sightings } from '../../query-api/sightings.ts';
import { pushedClock } from './api-fixture.ts';

test('an instance is gone 5 s after its last record, by our clock', () => {
  const clock = pushedClock();
  const sightings = new Sightings(clock);
  sightings.changed('a', true);
  clock.push(4_900);
  expect([sightings.isAlive('a'), sightings.isGone('a')]).toEqual([true, false]);
  sightings.changed('b', true);
  clock.push(200);
  expect([sightings.isAlive('a'), sightings.isGone('a'), sightings.isAlive('b')]).toEqual([false, true, true]);
});

test('when nothing comes from anybody it is Kafka that is away, and nobody is called gone', () => {
  const clock = pushedClock();
  const sightings = new Sightings(clock);
  expect([sightings.kafkaAnswers, sightings.isGone('a')]).toEqual([false, false]);
  sightings.changed('a', true);
  clock.push(6_000);
  expect([sightings.kafkaAnswers, sightings.isGone('a'), sightings.isAlive('a')]).toEqual([false, false, false]);
});

test('a clean stop is forgotten at once', () => {
  const sightings = new Sightings(pushedClock());
  sightings.changed('a', true);
  sightings.changed('a', false);
  expect([sightings.seenMs('a'), sightings.isGone('a')]).toEqual([undefined, false]);
});
