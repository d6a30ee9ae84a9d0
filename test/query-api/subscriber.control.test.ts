/**
 * Control runs: with one rule of the subscriber taken away, from outside, the properties of subscriber.test.ts must fail,
 * or they prove nothing.
 */
import { expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import { type LeafChange, type StateFeed, type StateListener } from '../../query-api/state-feed.ts';
import { cutSteps, play, readSteps, writeLeaves } from './arbitrary-stream.ts';
import { type LifeOptions, StreamedLife } from './streamed-life.ts';
import { counts, readerState, storeState, tellingProblems } from './told-once.ts';

const runs = { numRuns: 100, seed: 1, endOnFailure: true };
const limits = { maxQueuedLeaves: 6 };

/** Leaves that are there before the stream, then changes while it walks and after. */
async function playOnce(steps: Parameters<typeof play>[1], options: LifeOptions): Promise<StreamedLife> {
  const life = new StreamedLife({ limits, ...options });
  for (const device of ['leaf-1', 'leaf-2', 'leaf-3']) writeLeaves(life, { device, set: [0, 1, 2, 3, 4, 5], gone: [] });
  await life.connect();
  await play(life, steps);
  await life.cut();
  return life;
}

async function fails(options: LifeOptions, check: (life: StreamedLife) => boolean): Promise<boolean> {
  const of = fc.asyncProperty(readSteps, async (steps) => check(await playOnce(steps, options)));
  return (await fc.check(of, runs)).failed;
}

const isTold = (life: StreamedLife): boolean => tellingProblems(life).length === 0;
const endsAlike = (life: StreamedLife): boolean =>
  JSON.stringify([...readerState(life.events)]) === JSON.stringify([...storeState(life)]);
const addsUp = (life: StreamedLife): boolean => counts(life).produced === counts(life).accounted;

/** The feed, with a listener that hears something else. */
function heardBy(feed: StateFeed, as: (listener: StateListener) => StateListener): StateFeed {
  return { listen: (listener, slots) => feed.listen(as(listener), slots), replay: (...asked) => feed.replay(...asked) };
}

/** As `given`, but for some of what it says. */
function withOther<T extends object>(given: T, other: Partial<T>): T {
  return new Proxy(given, {
    get: (of, name): unknown => Reflect.get(name in other ? other : of, name),
  });
}

const mapped = (change: (given: LeafChange) => LeafChange[]) => (feed: StateFeed) =>
  heardBy(feed, (listener) => ({
    onChanges: (slot, changes, through) => listener.onChanges(slot, changes.flatMap(change), through),
    onReset: (slot) => listener.onReset(slot),
  }));

test('with the feed as it is nothing fails', async () => {
  const options = { wrap: mapped((change) => [change]) };
  expect(await fails(options, (life) => isTold(life) && endsAlike(life) && addsUp(life))).toBe(false);
}, 60_000);

test('SS1: a subscriber that listens only after its walk has begun loses what changes meanwhile', async () => {
  const late = (feed: StateFeed): StateFeed => ({
    listen: (listener, slots) => {
      let leave: () => void = () => undefined;
      setImmediate(() => (leave = feed.listen(listener, slots)));
      return () => leave();
    },
    replay: (...asked) => feed.replay(...asked),
  });
  const endsAlikeWith = async (options: LifeOptions): Promise<boolean> => {
    const life = new StreamedLife({ limits, ...options });
    writeLeaves(life, { device: 'leaf-1', set: [3], gone: [] });
    const connected = life.connect();
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve(); // it walks in the turn in which it connects
    writeLeaves(life, { device: 'leaf-1', set: [3], gone: [] });
    await connected;
    await life.takeAll();
    await life.cut();
    return endsAlike(life);
  };
  expect(await endsAlikeWith({})).toBe(true);
  expect(await endsAlikeWith({ wrap: late })).toBe(false);
});

test('SQ2: if on-change values merged, some would never be told, and the property notices', async () => {
  const sampled = (change: LeafChange): LeafChange[] => {
    if (change.leaf === null) return [change];
    const leaf = withOther(change.leaf, { sampled: true });
    return [withOther(change, { leaf })];
  };
  expect(await fails({ wrap: mapped(sampled) }, isTold)).toBe(true);
}, 60_000);

test('SR1: if what the log brings were cut short, a slow reader would miss values, and the property notices', async () => {
  const wrap = (feed: StateFeed): StateFeed => ({
    listen: (listener, slots) => feed.listen(listener, slots),
    replay: (...asked) => {
      const start = feed.replay(...asked);
      if (start.kind !== 'replay') return start;
      const next: typeof start.replay.next = async (signal, onLive) => {
        const batch = await start.replay.next(signal, onLive);
        return batch && { ...batch, changes: batch.changes.slice(0, -1) };
      };
      return { kind: 'replay', replay: { next } };
    },
  });
  expect(await fails({ wrap }, isTold)).toBe(true);
}, 60_000);

test('without its cursor a reader that comes back is told again what it knew, and the property notices', async () => {
  const of = fc.asyncProperty(cutSteps, async (steps) => {
    const life = new StreamedLife({ limits });
    await life.connect();
    await life.takeAll();
    const first = life.cursor;
    await play(life, steps.filter(({ kind }) => kind !== 'cut' && kind !== 'trim')); // prettier-ignore
    await life.cut();
    life.cursor = first;
    await life.connect();
    await life.takeAll();
    await life.cut();
    return isTold(life);
  });
  expect((await fc.check(of, runs)).failed).toBe(true);
}, 60_000);
