import { describe, expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import { decodeCursor } from '../../schemas/cursor.ts';
import { type Device } from '../../schemas/device.ts';
import { slotOf } from '../../schemas/slot.ts';
import { encodeTypedValue } from '../../schemas/value.ts';
import { statusOf } from './api-fixture.ts';
import { cutSteps, play, readSteps, slotsOfDevices, writeLeaves } from './arbitrary-stream.ts';
import { slots, StreamedLife } from './streamed-life.ts';
import { counts, readerState, storeState, tellingProblems } from './told-once.ts';

const limits = { maxQueuedLeaves: 6 };

test('devices of these tests lie in both slots', () => {
  expect(slotsOfDevices.size).toBe(2);
});

describe('random changes and a reader of any pace', () => {
  test('SS1–SS3: every on-change value once and in order, the store’s state in the end, and the counts add up', async () => {
    await fc.assert(
      fc.asyncProperty(readSteps, readSteps, fc.boolean(), async (before, steps, readsRealLog) => {
        const life = new StreamedLife({ limits });
        life.state.readsRealLog = readsRealLog;
        for (const step of before) if (step.kind === 'write') writeLeaves(life, step);
        await life.connect();
        await play(life, steps);
        expect(tellingProblems(life)).toEqual([]);
        expect(readerState(life.events)).toEqual(storeState(life));
        const { produced, accounted } = counts(life);
        expect(accounted).toBe(produced);
        await life.cut();
        expect(life.clock.armed).toBe(0);
      }),
      { numRuns: 100 },
    );
  }, 60_000);

  test('SS1–SS4, SC1: the same over cuts, resumes and a log that loses its beginning; every id is a whole cursor', async () => {
    await fc.assert(
      fc.asyncProperty(cutSteps, fc.boolean(), async (steps, readsRealLog) => {
        const life = new StreamedLife({ limits });
        life.state.readsRealLog = readsRealLog;
        await life.connect();
        await play(life, steps);
        expect(tellingProblems(life)).toEqual([]);
        expect(readerState(life.events)).toEqual(storeState(life));
        let isSynced = false;
        for (const { event, id, data } of life.events) {
          if (event === 'gap') isSynced = data['device'] !== null;
          if (event === 'synced') isSynced = true;
          if (isSynced) expect(decodeCursor(id ?? '').positions).toHaveLength(2);
        }
        await life.cut();
      }),
      { numRuns: 200 },
    );
  }, 60_000);
});

describe('what a stream says beside values', () => {
  const write = (life: StreamedLife, device: string, ...set: number[]): void =>
    writeLeaves(life, { device, set, gone: [] });
  const synced = async (options: ConstructorParameters<typeof StreamedLife>[0] = {}): Promise<StreamedLife> => {
    const life = new StreamedLife({ limits, ...options });
    write(life, 'leaf-1', 3);
    write(life, 'leaf-2', 3);
    await life.connect();
    await life.takeAll();
    return life;
  };
  const paths = (life: StreamedLife): string[] => [...readerState(life.events).keys()];

  test('SE1: of a message that deletes and sets the deletes come first, and the id moves with the second event', async () => {
    const life = await synced();
    const before = life.cursor;
    writeLeaves(life, { device: 'leaf-1', set: [4], gone: [3] });
    await life.takeAll();
    expect(life.events.slice(-2).map(({ event, id }) => [event, id === before])).toEqual([
      ['delete', true],
      ['update', false],
    ]);
    await life.cut();
  });

  test('a change that is not asked for moves the cursor, with the heartbeat', async () => {
    const life = await synced({ path: '/b' });
    const before = life.cursor;
    write(life, 'leaf-1', 4);
    await life.clock.advance(15_000);
    await life.take();
    expect(life.events.at(-1)).toMatchObject({ event: 'heartbeat', data: { ageMs: 15_000 } });
    expect(life.cursor).not.toBe(before);
    await life.cut();
  });

  test('SS4: a slot that is read anew is a gap of all devices and the full state, once it is there', async () => {
    const life = await synced();
    const slot = slotOf('leaf-1', slots);
    life.state.reset(slot);
    await life.takeAll();
    expect(life.events.at(-1)).toMatchObject({
      event: 'gap',
      id: `1..${life.state.logTag}`,
      data: { reason: 'cursor-unknown', device: null, lost: null },
    });
    write(life, 'leaf-1', 5);
    life.state.loaded(slot);
    life.state.mark(slot, 50n);
    await life.clock.advance(200);
    await life.takeAll();
    expect(life.named('synced')).toHaveLength(2);
    expect(paths(life)).toEqual(['leaf-1|openconfig:/a/l5', 'leaf-2|openconfig:/a/l3']);
    await life.cut();
  });

  test('SS4: a cursor that the log does not reach back to is a gap and the full state', async () => {
    const life = await synced();
    await life.cut();
    await life.connect('cursor-expired');
    await life.takeAll();
    expect(life.events.slice(-4).map(({ event }) => event)).toEqual(['gap', 'update', 'update', 'synced']);
    await life.cut();
  });

  test('a gap that the owner of a device has marked is told, of devices of the stream alone', async () => {
    const life = await synced({ names: ['leaf-1'] });
    const row = (gaps: bigint) => ({ status: { ...statusOf('x', 'synced'), gaps, gapFromNs: 40n, gapToNs: 60n }, position: { slot: 0, epoch: 1n, seq: 1n } });
    const mark = (gaps: bigint): void => {
      for (const name of ['leaf-1', 'leaf-2']) life.status.set(name, row(gaps));
    };
    mark(1n);
    await life.clock.advance(1_000);
    mark(3n);
    await life.clock.advance(1_000);
    await life.take();
    mark(4n);
    await life.clock.advance(1_000);
    await life.take();
    expect(life.named('gap').slice(1).map(({ data }) => data)).toEqual([
      { reason: 'device', device: 'leaf-1', lost: '2', from: null, to: '60' },
      { reason: 'device', device: 'leaf-1', lost: '1', from: '40', to: '60' },
    ]);
    await life.cut();
  }); // prettier-ignore

  test('SF1, SF2: by label: a device that begins to match comes with its state, a removed one goes leaf by leaf', async () => {
    const site = (value: string): Device => ({ labels: new Map([['site', value]]) }) as unknown as Device;
    const life = new StreamedLife({ limits, labels: [{ name: 'site', value: 'fra' }] });
    life.devices.set('leaf-1', site('fra'));
    life.devices.set('leaf-2', site('ber'));
    write(life, 'leaf-1', 3);
    write(life, 'leaf-2', 3);
    await life.connect();
    await life.takeAll();
    expect(paths(life)).toEqual(['leaf-1|openconfig:/a/l3']);
    life.devices.set('leaf-2', site('fra'));
    write(life, 'leaf-2', 4);
    await life.clock.advance(1_000);
    write(life, 'leaf-2', 5);
    await life.takeAll();
    expect(paths(life)).toEqual(['1|l3', '2|l3', '2|l4', '2|l5'].map((text) => text.replace(/(\d)\|/, 'leaf-$1|openconfig:/a/')));
    life.devices.delete('leaf-1');
    writeLeaves(life, { device: 'leaf-1', set: [], gone: [3] });
    await life.takeAll();
    expect(paths(life).some((path) => path.startsWith('leaf-1'))).toBe(false);
    expect(decodeCursor(life.cursor ?? '').positions).toHaveLength(2);
    await life.cut();
  }); // prettier-ignore

  test('WR2: a reader that takes nothing is let go after its time, others are not', async () => {
    const life = await synced({ limits: { ...limits, maxBlockedMs: 10_000, maxQueuedLeaves: 100_000 } });
    life.state.batchChanges = 1_000;
    for (let round = 0; round < 3_000; round += 1) write(life, 'leaf-1', 3, 4, 5);
    await life.clock.advance(100);
    const waiting = life.pipe.length;
    expect(waiting).toBeGreaterThan(2);
    await life.clock.advance(9_000);
    expect(life.pipe).toHaveLength(waiting);
    await life.clock.advance(1_000);
    expect(await life.ended).toBe('nothing was taken for 10000 ms');
    expect(life.clock.armed).toBe(0);
  });

  test('a log that cannot be read to the end ends the stream, which can be resumed', async () => {
    const life = await synced();
    await life.cut();
    life.state.failure = new Error('the log is away');
    await life.connect();
    expect(await life.ended).toBe('the log is away');
    life.state.failure = null;
    write(life, 'leaf-1', 4);
    await life.connect();
    await life.takeAll();
    expect(tellingProblems(life)).toEqual([]);
    await life.cut();
  });
});

test('S12: 2,000 sampled leaves change while the reader has stopped: no more entries than leaves, and the counts add up', async () => {
  const life = new StreamedLife({ limits: { maxQueuedLeaves: 2_000 } });
  const leaf = (n: number) => ({ device: 'leaf-1', origin: 'openconfig', path: `/a/l${n}`, sampled: true });
  await life.connect();
  await life.takeAll();
  const value = encodeTypedValue({ kind: 'uint', value: 7n });
  for (let round = 0; round < 30; round += 1) {
    const set = Array.from({ length: 2_000 }, (_, n) => ({ ...leaf(n), value }));
    life.state.write(BigInt(round + 2), set);
    await life.clock.advance(6);
  }
  await life.takeAll();
  const { produced, accounted } = counts(life);
  expect([produced, accounted]).toEqual([60_000, 60_000]);
  const replays = await life.streamMetrics.replays.get();
  expect(replays.values).toEqual([]); // it was never behind: what merges needs no room
}, 60_000);
