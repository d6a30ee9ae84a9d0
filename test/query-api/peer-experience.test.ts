import { expect, test } from '@jest/globals';
import { type AttemptEnd, PeerExperience } from '../../query-api/peer-experience.ts';
import { FakeClock } from '../support/fake-clock.ts';

const answered: AttemptEnd = { kind: 'answered', ms: 4 };
const failed: AttemptEnd = { kind: 'failed' };

function setUp() {
  const clock = new FakeClock();
  const experience = new PeerExperience(clock);
  return { clock, experience, once: (end: AttemptEnd) => experience.begin('a')(end) };
}

test.each<[AttemptEnd, boolean]>([
  [answered, false],
  [{ kind: 'refused', ms: 4 }, false], // PE3
  [{ kind: 'abandoned' }, false],
  [failed, true],
  [{ kind: 'stalled' }, true],
])('after %j a peer is suspect: %s', (end, suspect) => {
  const { experience, once } = setUp();
  once(end);
  expect(experience.isSuspect('a')).toBe(suspect);
});

test('PE2: after its pause one request tries a suspect; it is trusted when that is answered', async () => {
  const { clock, experience, once } = setUp();
  once(failed);
  await clock.advance(1_999);
  expect(experience.isSuspect('a')).toBe(true);
  await clock.advance(1);
  expect(experience.isSuspect('a')).toBe(false);
  const end = experience.begin('a');
  expect(experience.isSuspect('a')).toBe(true); // for all others
  end(answered);
  expect(experience.isSuspect('a')).toBe(false);
});

test('PE2: a trial that fails doubles the pause, up to 10 s', async () => {
  const { clock, experience, once } = setUp();
  once(failed);
  for (const pauseMs of [2_000, 4_000, 8_000, 10_000, 10_000]) {
    await clock.advance(pauseMs - 1);
    expect(experience.isSuspect('a')).toBe(true);
    await clock.advance(1);
    expect(experience.isSuspect('a')).toBe(false);
    once(failed);
  }
});

test('a trial that nobody waits for any more leaves room for the next', async () => {
  const { clock, experience, once } = setUp();
  once(failed);
  await clock.advance(2_000);
  once({ kind: 'abandoned' });
  expect(experience.isSuspect('a')).toBe(false);
});

test('what was on its way when the peer failed fails too, and makes nothing worse; an old answer makes nothing better', async () => {
  const { clock, experience } = setUp();
  const [one, two, three] = [experience.begin('a'), experience.begin('a'), experience.begin('a')];
  one(failed);
  await clock.advance(1_000);
  two(failed);
  three(answered);
  expect(experience.isSuspect('a')).toBe(true);
  await clock.advance(1_000);
  expect(experience.isSuspect('a')).toBe(false);
});

test('what is in flight is counted once, however often its end is told', () => {
  const { experience } = setUp();
  const end = experience.begin('a');
  expect(experience.inFlight('a')).toBe(1);
  end(answered);
  end(answered);
  expect(experience.inFlight('a')).toBe(0);
});

test.each([
  { latencyMs: 1, hedgeMs: 50 },
  { latencyMs: 40, hedgeMs: 120 },
  { latencyMs: 900, hedgeMs: 250 },
])('the hedge time of a peer that answers within $latencyMs ms is $hedgeMs ms', ({ latencyMs, hedgeMs }) => {
  const { experience, once } = setUp();
  for (let n = 0; n < 15; n += 1) once({ kind: 'answered', ms: latencyMs });
  expect(experience.hedgeMs('a')).toBe(250); // too few to know
  for (let n = 0; n < 64; n += 1) once({ kind: 'answered', ms: latencyMs });
  expect(experience.hedgeMs('a')).toBe(hedgeMs);
});

test('the names of instances that went are forgotten, but none that something waits for', () => {
  const { experience } = setUp();
  experience.begin('waits');
  experience.begin('failed')(failed);
  for (let n = 0; n < 400; n += 1) experience.begin(`pod-${n}`)(answered);
  expect([experience.inFlight('waits'), experience.isSuspect('failed')]).toEqual([1, false]);
});
