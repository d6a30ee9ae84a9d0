/** Devices that come to a stream by their labels, while its reader is slow. */
import { describe, expect, test } from '@jest/globals';
import { type StreamLimits } from '../../query-api/streams.ts';
import { type Device } from '../../schemas/device.ts';
import { encodeTypedValue } from '../../schemas/value.ts';
import { StreamedLife, type Told } from './streamed-life.ts';

const site = (value: string): Device => ({ labels: new Map([['site', value]]) }) as unknown as Device;

/** More than a writer may have under way. */
const big = (text: string): string => text.repeat(300_000 / text.length);

class Fleet {
  readonly life: StreamedLife;
  #seq = 1n;

  constructor(limits: Partial<StreamLimits> = {}) {
    this.life = new StreamedLife({ limits, labels: [{ name: 'site', value: 'fra' }] });
    for (const device of ['leaf-1', 'leaf-2']) this.life.devices.set(device, site('fra'));
  }

  set(device: string, text: string): void {
    const value = encodeTypedValue({ kind: 'string', value: text });
    this.life.state.write((this.#seq += 1n), [{ device, origin: 'openconfig', path: '/a', value }]);
  }

  delete(device: string): void {
    this.life.state.write((this.#seq += 1n), [], [{ device, origin: 'openconfig', path: '/a' }]);
  }

  /** The reader has not taken what was written: more waits in the queue. */
  async stall(): Promise<void> {
    for (const text of ['x', 'y']) {
      this.set('leaf-2', big(text));
      await this.life.clock.advance(6);
    }
  }

  /** What was told of the leaf of `leaf-1`, in order. */
  told(): string[] {
    const of = ({ event, data }: Told): string[] => {
      const leaves = (data['leaves'] ?? data['deletes'] ?? []) as { device: string; value?: string }[];
      return leaves
        .filter(({ device }) => device === 'leaf-1')
        .map(({ value }) => (event === 'delete' ? '–' : (value ?? '')));
    };
    return this.life.events.flatMap(of);
  }
}

async function synced(limits?: Partial<StreamLimits>): Promise<Fleet> {
  const fleet = new Fleet(limits);
  fleet.set('leaf-1', 'first');
  await fleet.life.connect();
  await fleet.life.takeAll();
  await fleet.stall();
  return fleet;
}

test('SF2: a device that leaves and comes back is told in order, although a change from before still waits', async () => {
  const fleet = await synced();
  const { life } = fleet;
  fleet.set('leaf-1', 'before');
  life.devices.set('leaf-1', site('ber'));
  await life.clock.advance(1_000);
  fleet.set('leaf-1', 'away');
  life.devices.set('leaf-1', site('fra'));
  await life.clock.advance(1_000);
  fleet.set('leaf-1', 'back');
  await life.takeAll();
  expect(fleet.told()).toEqual(['first', 'before', 'back']);
  fleet.set('leaf-1', 'last');
  await life.takeAll();
  expect(fleet.told().at(-1)).toBe('last');
  expect(life.cursor).not.toBeNull();
  await life.cut();
});

test('SF1, SF2: what a removed device had is told as gone before it comes anew, not behind it', async () => {
  const fleet = await synced();
  const { life } = fleet;
  life.devices.delete('leaf-1');
  fleet.delete('leaf-1');
  await life.clock.advance(1_000);
  life.devices.set('leaf-1', site('ber'));
  await life.clock.advance(1_000);
  life.devices.set('leaf-1', site('fra'));
  fleet.set('leaf-1', 'anew');
  await life.clock.advance(1_000);
  await life.takeAll();
  expect(fleet.told().slice(0, 2)).toEqual(['first', '–']);
  expect(fleet.told().at(-1)).toBe('anew');
  await life.cut();
});

describe('SS5: a device that comes back while a change of before has no room in the queue', () => {
  /** Two changes fill the queue, the rest comes from the log in one batch, of which `last` waits when the device comes back. */
  const told = async (last: (fleet: Fleet) => void, back: string | null): Promise<string[]> => {
    const fleet = await synced({ maxQueuedLeaves: 2 });
    const { life } = fleet;
    for (const text of ['1', '2', big('3'), big('4')]) fleet.set('leaf-1', text);
    last(fleet);
    await life.take(1);
    for (const place of ['ber', 'fra']) {
      life.devices.set('leaf-1', site(place));
      await life.clock.advance(1_000);
    }
    if (back !== null) fleet.set('leaf-1', back);
    await life.takeAll();
    const { values } = await life.streamMetrics.replays.get();
    expect(values).toMatchObject([{ labels: { reason: 'behind' }, value: 1 }]);
    expect(life.cursor).not.toBeNull();
    await life.cut();
    return fleet.told().map((text) => text.slice(0, 6).replace(/^(.)\1+$/, '$1'));
  };
  const before = (fleet: Fleet): void => fleet.set('leaf-1', 'before');
  const removal = (fleet: Fleet): void => {
    fleet.life.devices.delete('leaf-1');
    fleet.delete('leaf-1');
  };

  test('SF2: the older value comes before the newer one', async () => {
    expect(await told(before, 'back')).toEqual(['first', '1', '2', '3', '4', 'before', 'back']);
  });

  test('SF1, SF2: a removed device is told as gone before it comes anew, and also if it comes with nothing', async () => {
    expect(await told(removal, 'anew')).toEqual(['first', '1', '2', '3', '4', '–', 'anew']);
    expect(await told(removal, null)).toEqual(['first', '1', '2', '3', '4', '–']);
  });
});
