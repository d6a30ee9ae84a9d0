/** A slot that is forgotten while a stream walks it: half of a set must not pass for whole, and the control run. */
import { expect, test } from '@jest/globals';
import { type StateFeed } from '../../query-api/state-feed.ts';
import { slotOf } from '../../schemas/slot.ts';
import { encodeTypedValue } from '../../schemas/value.ts';
import { slots, StreamedLife } from './streamed-life.ts';
import { readerState } from './told-once.ts';

const devices = ['leaf-1', 'leaf-2', 'leaf-3', 'leaf-4'];
const forgotten = slotOf('leaf-4', slots);

function write(life: StreamedLife, device: string, seq: bigint, text: string): void {
  const value = encodeTypedValue({ kind: 'string', value: text });
  life.state.write(seq, [{ device, origin: 'openconfig', path: '/a', value }]);
}

/** A reader that has taken everything after the walk has lost a slot under its feet. */
async function forgottenInMidWalk(wrap: (feed: StateFeed) => StateFeed): Promise<StreamedLife> {
  const life = new StreamedLife({ wrap });
  // Each is more than a writer may have under way: the walk stands still behind the first.
  for (const [n, device] of devices.entries()) write(life, device, BigInt(n + 2), device.repeat(50_000));
  await life.connect();
  await life.take(2);
  life.state.reset(forgotten);
  await life.takeAll();
  return life;
}

const reload = (life: StreamedLife): void => {
  for (const [n, device] of devices.entries())
    if (slotOf(device, slots) === forgotten) write(life, device, BigInt(n + 20), 'anew');
  life.state.loaded(forgotten);
  life.state.mark(forgotten, 50n);
};

test('SS4: it is a gap, nothing is synced before the slot was read anew, and then the set is whole', async () => {
  const life = await forgottenInMidWalk((feed) => feed);
  expect(life.named('synced')).toEqual([]);
  expect(life.events.at(-1)).toMatchObject({ event: 'gap', data: { reason: 'cursor-unknown', device: null } });
  reload(life);
  await life.clock.advance(200);
  await life.takeAll();
  expect(life.events.at(-1)?.event).toBe('synced');
  expect([...readerState(life.events).keys()]).toEqual(devices.map((device) => `${device}|openconfig:/a`));
  await life.cut();
});

test('control: if the stream did not hear of it, half of a set would pass for whole', async () => {
  const deaf = (feed: StateFeed): StateFeed => ({
    listen: (listener, among) =>
      feed.listen({ onChanges: (...told) => listener.onChanges(...told), onReset: () => undefined }, among),
    replay: (...asked) => feed.replay(...asked),
  });
  const life = await forgottenInMidWalk(deaf);
  expect(life.events.at(-1)?.event).toBe('synced');
  expect(readerState(life.events).size).toBeLessThan(devices.length);
  await life.cut();
});
