import { expect, test } from '@jest/globals';
import { type Device } from '../../schemas/device.ts';
import { parseDevice } from '../../schemas/device-document.ts';
import { namesOf, warningsOf, wishesOf } from '../../query-api/device-checks.ts';

function device(name: string, ...addresses: string[]): Device {
  const parsed = parseDevice({ name, addresses, plaintext: true, subscriptions: [{ path: '/' }] });
  if (!parsed.ok) throw new Error(parsed.problems.join());
  return parsed.device;
}

const rows = (...devices: Device[]) => new Map(devices.map((one) => [one.name, one]));

test('an address of two devices is a warning that names the other, in the request or before it', () => {
  const a = device('a', 'h:1', 'h:2');
  expect(warningsOf([a, device('b', 'h:2')], rows())).toEqual([
    'device a: address h:2 is also that of b',
    'device b: address h:2 is also that of a',
  ]);
  expect(warningsOf([a], rows(device('c', 'h:1'), device('d', 'h:3')))).toEqual([
    'device a: address h:1 is also that of c',
  ]);
});

test('a device that moves away from an address is not held against itself', () => {
  expect(warningsOf([device('a', 'h:1')], rows(device('a', 'h:1')))).toEqual([]);
  expect(warningsOf([device('a', 'h:2'), device('b', 'h:1')], rows(device('a', 'h:1')))).toEqual([]);
});

test('thousands of devices on one address take no longer than their number, and are told in part', () => {
  const devices = Array.from({ length: 20_000 }, (_, n) => device(`d${n}`, 'h:1'));
  const started = performance.now();
  const warnings = warningsOf(devices, rows());
  expect(performance.now() - started).toBeLessThan(1_000); // quadratic: minutes
  expect(warnings).toHaveLength(100);
  expect(warnings[0]).toBe('device d0: address h:1 is also that of d1, d2, d3, d4, d5');
});

test('wishes and names are read from whatever came', () => {
  expect(wishesOf([{ name: 'a', profiles: ['p', 5, ''] }, { profiles: 'p' }, 5, null])).toEqual([
    { name: 'a', profiles: ['p'] },
    { name: '?', profiles: [] },
  ]);
  expect(wishesOf({ devices: 1 })).toEqual([]);
  expect([...namesOf([{ name: 'p' }, { name: '..' }, {}, 'q'])]).toEqual(['p']);
  expect([...namesOf(undefined)]).toEqual([]);
});
