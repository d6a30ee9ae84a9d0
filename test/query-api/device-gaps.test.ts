import { expect, test } from '@jest/globals';
import { DeviceGaps } from '../../query-api/device-gaps.ts';
import { type StatusRow } from '../../query-api/status-row.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { statusOf } from './api-fixture.ts';

test('gaps marked while somebody listens are told once, those before are not', async () => {
  const clock = new FakeClock();
  const status = new Map<string, StatusRow>();
  const mark = (device: string, gaps: bigint): void => {
    status.set(device, { status: { ...statusOf(device, 'synced'), gaps }, position: { slot: 0, epoch: 1n, seq: 1n } });
  };
  const gaps = new DeviceGaps(status, clock);
  const heard: [string, bigint][] = [];
  mark('a', 3n);
  const leave = gaps.listen((device, lost) => heard.push([device, lost]));
  await clock.advance(1_000);
  expect(heard).toEqual([]);
  mark('a', 5n);
  mark('b', 1n); // new: nobody was told of it before
  await clock.advance(2_000);
  mark('b', 2n);
  await clock.advance(1_000);
  expect(heard).toEqual([
    ['a', 2n],
    ['b', 1n],
  ]);
  leave();
  expect(clock.armed).toBe(0);
});
