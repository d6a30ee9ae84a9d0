import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { deviceCodec } from '../../schemas/device.ts';
import { gnmi } from '../../schemas/gnmi.ts';
import { instanceCodec } from '../../schemas/instance.ts';
import { leafCodec } from '../../schemas/leaf.ts';
import { markerCodec } from '../../schemas/marker.ts';
import { placementCodec, planCodec, slotOwnershipCodec } from '../../schemas/ownership.ts';
import { profileCodec } from '../../schemas/profile.ts';
import { deviceStatusCodec } from '../../schemas/status.ts';
import { type MessageName, messageNames } from '../../schemas/topics.ts';
import { plain } from './reflection.ts';

interface Golden {
  readonly message: MessageName;
  /** Counts the published forms of the record type. */
  readonly version: number;
  /** Integers and bytes (hex) as strings. */
  readonly value: unknown;
  /** The message without its frame. */
  readonly hex: string;
}

interface Check {
  readonly plain: unknown;
  readonly again: string;
}

function check<T>(codec: { decode(bytes: Buffer): T; encode(value: T): Buffer }): (hex: string) => Check {
  return (hex) => {
    const value = codec.decode(Buffer.from(hex, 'hex'));
    return { plain: plain(value), again: codec.encode(value).toString('hex') };
  };
}

const checks: Readonly<Record<MessageName, (hex: string) => Check>> = {
  'gnmi.SubscribeResponse': check(gnmi.SubscribeResponse),
  'holdfast.v1.Device': check(deviceCodec),
  'holdfast.v1.Profile': check(profileCodec),
  'holdfast.v1.Marker': check(markerCodec),
  'holdfast.v1.Leaf': check(leafCodec),
  'holdfast.v1.DeviceStatus': check(deviceStatusCodec),
  'holdfast.v1.SlotOwnership': check(slotOwnershipCodec),
  'holdfast.v1.Plan': check(planCodec),
  'holdfast.v1.Placement': check(placementCodec),
  'holdfast.v1.Instance': check(instanceCodec),
};

const folder = join('schemas', 'golden');
const goldens = readdirSync(folder).map((file) => ({
  file,
  golden: JSON.parse(readFileSync(join(folder, file), 'utf8')) as Golden,
}));

test('every record type has an example of its first version', () => {
  const first = goldens.filter(({ golden }) => golden.version === 1).map(({ golden }) => golden.message);
  expect(first.sort()).toEqual([...messageNames].sort());
});

test.each(goldens)('$file is read as it was meant, and written as it was', ({ file, golden }) => {
  expect(file).toBe(`${golden.message}.${golden.version}.json`);
  const { plain: value, again } = checks[golden.message](golden.hex);
  const isNewest = !goldens.some(
    (other) => other.golden.message === golden.message && other.golden.version > golden.version,
  );
  // An older form reads with the defaults of the fields that came later.
  if (isNewest) expect(value).toEqual(golden.value);
  else expect(value).toMatchObject(golden.value as object);
  expect(again).toBe(golden.hex);
});
