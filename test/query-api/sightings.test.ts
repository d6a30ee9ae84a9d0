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

test('SI2: a record that was read while loading proves no life; the next one does', () => {
  const clock = pushedClock();
  const sightings = new Sightings(clock);
  sightings.changed('a', true);
  sightings.loaded();
  expect([sightings.isAlive('a'), sightings.isProven('a')]).toEqual([true, false]);
  sightings.changed('a', true);
  expect(sightings.isProven('a')).toBe(true);
  clock.push(5_100);
  expect(sightings.isProven('a')).toBe(false);
});

test('SI1: a record is as old as the sight of the one before it, if that was seen live', () => {
  const clock = pushedClock();
  const sightings = new Sightings(clock);
  sightings.changed('a', true);
  sightings.loaded();
  sightings.changed('a', true);
  expect(sightings.recordAgeMs('a')).toBe(Number.POSITIVE_INFINITY);
  clock.push(1_000);
  sightings.changed('a', true);
  clock.push(300);
  expect(Math.round(sightings.recordAgeMs('a'))).toBe(1_300);
  expect(sightings.recordAgeMs('nobody')).toBe(Number.POSITIVE_INFINITY);
});
