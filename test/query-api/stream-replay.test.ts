import { expect, test } from '@jest/globals';
import { HoldfastError } from '../../core/errors.ts';
import { type Replay } from '../../query-api/state-feed.ts';
import { StreamReplay } from '../../query-api/stream-replay.ts';

/** A stream that is behind in one slot, whose replay ends like this. */
async function behind(next: Replay['next']) {
  const ended = new AbortController();
  let woken: () => void = () => undefined;
  const isWoken = new Promise<void>((resolve) => (woken = resolve));
  const replay = new StreamReplay({
    feed: { listen: () => () => undefined, replay: () => ({ kind: 'replay', replay: { next } }) },
    signal: ended.signal,
    take: (changes) => changes.length,
    covers: () => true,
    concerns: () => true,
    wake: () => woken(),
    onReplay: () => undefined,
  });
  replay.add({ slot: 1, epoch: 5n, seq: 7n });
  expect([replay.step().kind, replay.step().kind]).toEqual(['moved', 'waits']);
  await isWoken;
  return replay;
}

test('SR3: a log that went on faster than it was read is a gap, not the end of the connection', async () => {
  const replay = await behind(() => Promise.reject(new HoldfastError('NOT_CAUGHT_UP', 'begin anew')));
  expect(replay.step()).toEqual({ kind: 'gap', reason: 'cursor-expired' });
  replay.clear();
  expect([replay.isOver, replay.step().kind]).toEqual([true, 'waits']);
});

test('what nobody expected ends the stream', async () => {
  const replay = await behind(() => Promise.reject(new Error('odd')));
  expect(replay.step()).toMatchObject({ kind: 'failed' });
});

test('SR1: live changes are for the stream from the turn in which everything was read', async () => {
  const replay = await behind((_signal, onLive) => {
    onLive();
    return Promise.resolve(null);
  });
  expect([replay.isBehind(1), replay.isOver]).toEqual([false, true]);
});
