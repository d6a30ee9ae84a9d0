import { expect, test } from '@jest/globals';
import { DeviceGaps, type DeviceLoss, joinLosses } from '../../query-api/device-gaps.ts';
import { type StatusRow } from '../../query-api/status-row.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { statusOf } from './api-fixture.ts';

test('gaps marked while somebody listens are told once, those before are not', async () => {
  const clock = new FakeClock();
  const status = new Map<string, StatusRow>();
  const mark = (device: string, gaps: bigint, gapFromNs = 0n, gapToNs = 0n): void => {
    const said = { ...statusOf(device, 'synced'), gaps, gapFromNs, gapToNs };
    status.set(device, { status: said, position: { slot: 0, epoch: 1n, seq: 1n } });
  };
  const gaps = new DeviceGaps(status, clock);
  const heard: [string, DeviceLoss][] = [];
  mark('a', 3n);
  const leave = gaps.listen((device, loss) => heard.push([device, loss]));
  await clock.advance(1_000);
  expect(heard).toEqual([]);
  mark('a', 5n, 70n, 90n);
  mark('b', 1n); // new: nobody was told of it before
  await clock.advance(2_000);
  mark('b', 2n, 60n, 80n);
  await clock.advance(1_000);
  expect(heard).toEqual([
    ['a', { gaps: 2n, fromNs: null, toNs: 90n }], // of the newest of the two only
    ['b', { gaps: 1n, fromNs: 60n, toNs: 80n }],
  ]);
  leave();
  expect(clock.armed).toBe(0);
});

test('two losses are one from the first to the last of what is missing, as far as it is known', () => {
  const one = { gaps: 1n, fromNs: 60n, toNs: 80n };
  expect(joinLosses(one, { gaps: 2n, fromNs: 50n, toNs: 70n })).toEqual({ gaps: 3n, fromNs: 50n, toNs: 80n });
  expect(joinLosses({ gaps: 1n, fromNs: null, toNs: null }, one)).toEqual({ gaps: 2n, fromNs: null, toNs: null });
});
