/** What the races decide in time, in virtual time; with real peers and sockets they are tested in divert.test.ts. */
import { expect, test } from '@jest/globals';
import { type PeerReply } from '../../query-api/peer-client.ts';
import { type AttemptEnd, PeerExperience } from '../../query-api/peer-experience.ts';
import { PeerRaces, type RaceEnd } from '../../query-api/peer-race.ts';
import { type Candidate } from '../../query-api/candidate.ts';
import { FakeClock } from '../support/fake-clock.ts';

const candidate = (instance: string): Candidate => ({
  ...{ instance, http: 'h:1', zone: '', cost: 0, load: 0, inFlight: 0, health: 'ok' },
  report: () => undefined,
});
const answer: PeerReply = {
  ...{ kind: 'answer', status: 200, contentType: 'application/json', headers: {}, stalenessMs: 3 },
  body: Buffer.from('{}'),
};

/** A clock that may be read late, as after a turn of the event loop that took long. */
class LateClock extends FakeClock {
  lateMs = 0;

  override monotonicMs(): number {
    return super.monotonicMs() + this.lateMs;
  }
}

/** Peers answer after as many ms as they are given; without, never. */
function setUp(answersAfterMs: Readonly<Record<string, number>>) {
  const clock = new LateClock();
  const asked: string[] = [];
  const ends: AttemptEnd['kind'][] = [];
  const experience = new PeerExperience(clock);
  const races = new PeerRaces({
    client: {
      ask: ({ instance }, _request, _onBytes, signal) => {
        asked.push(instance);
        return new Promise((resolve, reject) => {
          const ms = answersAfterMs[instance];
          const timer = ms === undefined ? undefined : clock.after(ms, () => resolve(answer));
          signal.addEventListener('abort', () => {
            timer?.cancel();
            reject(signal.reason as Error);
          });
        });
      },
    },
    experience,
    clock,
    onAttempt: (end) => ends.push(end),
  });
  const run = (order: readonly string[]): Promise<RaceEnd> =>
    races.run(
      {
        request: { url: '/', header: () => undefined },
        order: order.map(candidate),
        maxStalenessMs: null,
        deadlineMs: 1_000,
        mayWait: false,
      },
      new AbortController().signal,
    );
  return { clock, asked, ends, experience, run };
}

test('a silent peer is hedged after its time, and the one that answers first wins', async () => {
  const { clock, asked, ends, run } = setUp({ b: 10 });
  const end = run(['a', 'b']);
  await clock.advance(249);
  expect(asked).toEqual(['a']);
  await clock.advance(1);
  expect(asked).toEqual(['a', 'b']);
  await clock.advance(10);
  expect(await end).toMatchObject({ kind: 'answer', attempts: 2 });
  expect(ends).toEqual(['answered', 'stalled']);
  expect(clock.armed).toBe(0);
});

test('PR1: where everybody is slow, one request in ten is hedged, after a burst of twenty', async () => {
  const { clock, asked, ends, run } = setUp({ a: 300, b: 300 });
  for (let n = 0; n < 200; n += 1) void run(['a', 'b']);
  await clock.advance(299);
  expect(asked.filter((instance) => instance === 'a')).toHaveLength(200);
  expect(asked.filter((instance) => instance === 'b')).toHaveLength(20); // tokens do not pile up beyond the burst
  await clock.advance(301);
  expect(ends.filter((end) => end === 'answered')).toHaveLength(200);
});

test('PR1: those that wait for a peer found stalled are hedged, however many they are', async () => {
  const { clock, run } = setUp({ b: 10 });
  const ends = Array.from({ length: 200 }, () => run(['a', 'b']));
  await clock.advance(2 * 250 + 10);
  for (const end of await Promise.all(ends)) expect(end.kind).toBe('answer');
});

test('PR3: silence that passed while we did not run is left out of account, once', async () => {
  const { clock, asked, run } = setUp({ a: 400 });
  const end = run(['a', 'b']);
  await clock.advance(249);
  clock.lateMs = 300;
  await clock.advance(1);
  expect(asked).toEqual(['a']);
  clock.lateMs = 600;
  await clock.advance(250 - 101);
  expect(asked).toEqual(['a']);
  await clock.advance(1);
  expect(await end).toMatchObject({ kind: 'answer', attempts: 1 });

  const second = setUp({ b: 10 });
  const late = second.run(['a', 'b']);
  await second.clock.advance(249);
  second.clock.lateMs = 300;
  await second.clock.advance(1);
  second.clock.lateMs = 600;
  await second.clock.advance(260);
  expect(await late).toMatchObject({ kind: 'answer', attempts: 2 });
});

test('PR2: nobody answers, nobody is waited for beyond the deadline', async () => {
  const { clock, ends, run } = setUp({});
  const end = run(['a', 'b', 'c']);
  await clock.advance(1_000);
  expect(await end).toEqual({ kind: 'nobody', refused: null, told: ['a: no answer in time', 'b: no answer in time'] });
  expect(ends).toEqual(['stalled', 'stalled']);
  expect(clock.armed).toBe(0);
});
