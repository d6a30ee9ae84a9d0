import { DeviceCatalogue } from '../../ingest/device-catalogue.ts';
import { slotOf } from '../../schemas/slot.ts';
import { deviceRecord, profileRecord, subscription } from '../support/ingest-bench.ts';

function catalogueOf(slots = 4): { catalogue: DeviceCatalogue; changed: string[] } {
  const changed: string[] = [];
  return { catalogue: new DeviceCatalogue({ slots, onChange: (name) => changed.push(name) }), changed };
}

test('devices lie in their slots, and leave them', () => {
  const { catalogue, changed } = catalogueOf();
  const names = Array.from({ length: 20 }, (_, n) => `leaf-${n}`);
  for (const name of names) catalogue.setDevice(name, deviceRecord(name));
  const found = [0, 1, 2, 3].flatMap((slot) => catalogue.devicesOf(slot).map((name) => [name, slot]));
  expect(new Map(found as [string, number][])).toEqual(new Map(names.map((name) => [name, slotOf(name, 4)])));
  catalogue.setDevice('leaf-3', undefined);
  expect(catalogue.devicesOf(slotOf('leaf-3', 4))).not.toContain('leaf-3');
  expect(catalogue.configOf('leaf-3')).toBeUndefined();
  expect(changed).toEqual([...names, 'leaf-3']);
});

test('a slot weighs its devices that are not disabled, and at least 1', () => {
  const { catalogue } = catalogueOf(1);
  expect(catalogue.weightOf(0)).toBe(1);
  for (const name of ['a', 'b', 'c']) catalogue.setDevice(name, deviceRecord(name, { disabled: name === 'c' }));
  expect(catalogue.weightOf(0)).toBe(2);
});

test('a profile concerns the devices that name it, in whatever order they come', () => {
  const { catalogue, changed } = catalogueOf();
  catalogue.setDevice('a', deviceRecord('a', { profiles: ['p'] }));
  catalogue.setDevice('b', deviceRecord('b'));
  changed.length = 0;
  catalogue.setProfile('p', profileRecord('p', { subscriptions: [subscription('/p')] }));
  expect(changed).toEqual(['a']);
  expect(catalogue.configOf('a')?.profiles.map(({ name }) => name)).toEqual(['p']);
  catalogue.setDevice('a', deviceRecord('a'));
  changed.length = 0;
  catalogue.setProfile('p', undefined);
  expect(changed).toEqual([]);
});

test('an address shared with a device that is not disabled is told, until it is not shared any more', () => {
  const { catalogue } = catalogueOf();
  const record = (name: string, disabled = false) =>
    catalogue.setDevice(name, deviceRecord(name, { addresses: ['192.0.2.1:9339'], disabled }));
  record('a');
  expect(catalogue.sharingAddress('a')).toEqual([]);
  record('b');
  expect(catalogue.sharingAddress('b')).toEqual([{ address: '192.0.2.1:9339', devices: ['b', 'a'] }]);
  record('a', true);
  expect([catalogue.sharingAddress('a'), catalogue.sharingAddress('b')]).toEqual([[], []]);
});
