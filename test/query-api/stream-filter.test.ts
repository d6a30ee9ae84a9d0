import { expect, test } from '@jest/globals';
import { LeafStore } from '../../query-api/leaf-store.ts';
import { StreamFilter } from '../../query-api/stream-filter.ts';
import { type Rows } from '../../query-api/tables.ts';
import { type Device } from '../../schemas/device.ts';
import { compilePattern } from '../../schemas/path-pattern.ts';
import { rootPath } from '../../schemas/path.ts';

const site = (value: string): Device => ({ labels: new Map([['site', value]]) }) as unknown as Device;

/** A table that counts who looks through it. */
class Devices extends Map<string, Device> implements Rows<Device> {
  looks = 0;
  version = 0;

  change(name: string, device: Device): void {
    this.version += 1;
    this.set(name, device);
  }

  override entries() {
    this.looks += 1;
    return super.entries();
  }
}

function filterOf(devices: Rows<Device>, store = new LeafStore()) {
  const patterns = [{ text: '/', pattern: compilePattern(rootPath) }];
  const labels = [{ name: 'site', value: 'fra' }];
  return new StreamFilter({ patterns, labels, names: null, store, devices, slotCount: 4 });
}

test('SF3: devices are looked through when one has changed, and not else', () => {
  const devices = new Devices([['a', site('fra')]]);
  const filter = filterOf(devices);
  expect(filter.present()).toEqual(['a']);
  for (let second = 0; second < 10; second += 1) expect(filter.joined()).toEqual([]);
  expect(devices.looks).toBe(1);
  devices.change('b', site('fra'));
  devices.change('a', site('ber'));
  expect([filter.joined(), filter.isMember('a'), filter.joined()]).toEqual([['b'], false, []]);
  devices.change('a', site('fra'));
  expect([filter.joined(), devices.looks]).toEqual([['a'], 3]); // SF2
});

test('SF2: without a count of changes every call looks', () => {
  const devices = new Map([['a', site('fra')]]);
  const filter = filterOf(devices);
  filter.joined();
  devices.set('b', site('fra'));
  expect(filter.joined()).toEqual(['b']);
});
