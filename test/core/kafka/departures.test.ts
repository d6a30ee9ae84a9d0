import { expect, test } from '@jest/globals';
import { type Slot } from '../../../schemas/slot.ts';
import { Departures } from '../../../core/kafka/departures.ts';
import { type SlotEvent } from '../../../core/kafka/slot-state.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const other: SlotEvent = { kind: 'plan-other' };
const prev: SlotEvent = { kind: 'plan-prev', prevEpoch: 5n };

class Scene {
  readonly clock = new FakeClock();
  readonly said: string[] = [];
  readonly departures = new Departures({
    clock: this.clock,
    depart: (slot, { kind }) => void this.said.push(`${slot} ${kind} at ${this.clock.monotonicMs() - this.startMs}`),
  });
  readonly startMs = this.clock.monotonicMs();

  /** Slots 0 to `count` − 1 leave. */
  begin(count: number, event: SlotEvent = prev): this {
    this.departures.begin(new Map(Array.from({ length: count }, (_, slot): [Slot, SlotEvent] => [slot, event])));
    return this;
  }

  /** What was said since the last call. */
  take(): string[] {
    return this.said.splice(0);
  }
}

test('the first slot leaves at once, each of the others when the one before was taken, after the rest', async () => {
  const scene = new Scene().begin(3);
  expect(scene.take()).toEqual(['0 plan-prev at 0']);
  await scene.clock.advance(100);
  scene.departures.released(0);
  await scene.clock.advance(100);
  scene.departures.taken(0);
  await scene.clock.advance(39);
  expect(scene.take()).toEqual([]);
  await scene.clock.advance(1);
  expect(scene.take()).toEqual(['1 plan-prev at 240']);
  scene.departures.released(1);
  scene.departures.taken(1);
  await scene.clock.advance(40);
  expect(scene.take()).toEqual(['2 plan-prev at 280']);
  scene.departures.taken(2);
  await scene.clock.advance(1_000);
  expect(scene.take()).toEqual([]);
  expect(scene.clock.armed).toBe(0);
});

test('DP1: a slot that is not released is waited for 400 ms, and so is a new owner who does not come', async () => {
  const scene = new Scene().begin(3);
  await scene.clock.advance(400);
  expect(scene.take()).toEqual(['0 plan-prev at 0', '1 plan-prev at 400']);
  await scene.clock.advance(300);
  scene.departures.released(1); // at 700
  await scene.clock.advance(399);
  expect(scene.take()).toEqual([]);
  await scene.clock.advance(1);
  expect(scene.take()).toEqual(['2 plan-prev at 1100']);
});

test.each([1, 20, 21, 64, 1_024])(
  'DP1: %d slots of which none is taken are all on their way in 16 s',
  async (count) => {
    const scene = new Scene();
    const departures = new Departures({
      clock: scene.clock,
      depart: (slot) => {
        scene.said.push(`${slot} at ${scene.clock.monotonicMs()}`);
        // Released at the last moment each time: the wait for the new owner begins after the wait for the release.
        scene.clock.after(Math.min(400, 8_000 / count) - 1e-6, () => departures.released(slot));
      },
    });
    departures.begin(new Map(Array.from({ length: count }, (_, slot): [Slot, SlotEvent] => [slot, other])));
    await scene.clock.advance(16_000);
    expect(scene.said).toHaveLength(count);
    expect(scene.clock.armed).toBe(0);
  },
);

test('DP1: a rest is no longer than the share of a slot', async () => {
  const scene = new Scene().begin(800); // 10 ms each
  scene.departures.taken(0);
  await scene.clock.advance(10);
  expect(scene.take()).toEqual(['0 plan-prev at 0', '1 plan-prev at 10']);
});

test('only the slot on its way moves the others on', async () => {
  const scene = new Scene().begin(3);
  scene.take();
  for (const slot of [1, 2, 9]) scene.departures.taken(slot);
  await scene.clock.advance(300);
  for (const slot of [1, 2, 9]) scene.departures.released(slot);
  await scene.clock.advance(99);
  expect(scene.take()).toEqual([]);
  await scene.clock.advance(1);
  expect(scene.take()).toEqual(['1 plan-prev at 400']);
});

test('DP2: a slot that stops being active while it waits is told its event then, and has no turn', async () => {
  const scene = new Scene().begin(3);
  scene.take();
  scene.departures.left(1);
  scene.departures.left(1);
  scene.departures.left(0); // was told in its turn
  scene.departures.left(7); // does not leave
  expect(scene.take()).toEqual(['1 plan-prev at 0']);
  scene.departures.taken(0);
  await scene.clock.advance(2_000);
  expect(scene.take()).toEqual(['2 plan-prev at 40']);
});

test('DP2: whoever is told of a departure may say at once that the slot has left, was released and taken', async () => {
  const clock = new FakeClock();
  const said: Slot[] = [];
  const departures = new Departures({
    clock,
    depart: (slot) => {
      said.push(slot);
      departures.left(slot);
      departures.released(slot);
      departures.taken(slot);
    },
  });
  departures.begin(new Map([4, 2, 3].map((slot): [Slot, SlotEvent] => [slot, other])));
  expect(said).toEqual([4]);
  await clock.advance(80);
  expect(said).toEqual([4, 2, 3]);
});

test('DP3: a new plan begins anew: slots that it keeps do not leave, and what it says of the others counts', async () => {
  const scene = new Scene().begin(3);
  await scene.clock.advance(399);
  scene.take();
  scene.departures.begin(new Map([[2, other]]));
  expect(scene.take()).toEqual(['2 plan-other at 399']);
  scene.departures.left(1);
  scene.departures.taken(0);
  await scene.clock.advance(2_000);
  expect(scene.take()).toEqual([]);
});

test('a plan under which nothing leaves arms nothing', () => {
  const scene = new Scene().begin(0);
  expect(scene.clock.armed).toBe(0);
  scene.begin(2).begin(0);
  expect(scene.clock.armed).toBe(0);
});

test('stopped: nobody is told anything more', async () => {
  const scene = new Scene().begin(3);
  scene.take();
  scene.departures.stop();
  scene.departures.stop();
  scene.departures.left(1);
  scene.departures.released(0);
  scene.departures.taken(0);
  await scene.clock.advance(2_000);
  expect(scene.take()).toEqual([]);
  expect(scene.clock.armed).toBe(0);
});
