import { expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import { withFleet, testFleet } from './test-fleet.ts';
import { GnmiClient, streamOf } from './subscriber.ts';
import { formatValueJson } from '../../schemas/value.ts';
import { type Fleet } from '../../simulator/fleet.ts';

const truthText = (fleet: Fleet, name: string): Record<string, string> =>
  Object.fromEntries([...fleet.truth(name)].map(([leaf, { value }]) => [leaf, formatValueJson(value, 'typed')]));

test('a device is the same for the same seed and name, and another for another', () => {
  const seen = (seed: number, name: string): Record<string, string> => {
    const fleet = testFleet({ seed, names: [name] });
    for (let tick = 0; tick < 120; tick += 1) fleet.device(name).tick();
    return truthText(fleet, name);
  };
  expect(seen(7, 'a')).toEqual(seen(7, 'a'));
  const octets = 'openconfig:/interfaces/interface[name=Ethernet1/1]/state/counters/in-octets';
  expect(seen(7, 'a')[octets]).not.toEqual(seen(8, 'a')[octets]);
  expect(seen(7, 'a')[octets]).not.toEqual(seen(7, 'b')[octets]);
});

test('the tree has every kind of value, counters above 2^53 and nanosecond times', () => {
  const fleet = testFleet();
  const truth = fleet.truth('dut-1');
  const kinds = new Set(
    [...truth].filter(([leaf]) => leaf.includes('/simulator/values/')).map(([, { value }]) => value.kind),
  );
  expect([...kinds].sort()).toEqual(
    [
      'any',
      'ascii',
      'bool',
      'bytes',
      'decimal',
      'double',
      'float',
      'int',
      'json',
      'json_ietf',
      'leaflist',
      'proto_bytes',
    ].concat(['string', 'uint']),
  );
  const octets = truth.get('openconfig:/interfaces/interface[name=Ethernet1/1]/state/counters/in-octets')!.value;
  expect(octets.kind === 'uint' && octets.value > 2n ** 53n).toBe(true);
  const blob = truth.get('openconfig:/network-instances/network-instance[name=default]/afts')!.value;
  expect(blob.kind === 'json_ietf' && blob.value.length > 2000).toBe(true);
  if (blob.kind === 'json_ietf') expect(() => JSON.parse(blob.value.toString()) as unknown).not.toThrow();
});

test('a change is a change: every leaf of a tick has another value than before', () => {
  const fleet = testFleet({ updates: 6 });
  const { tree } = fleet.device('dut-1');
  const text = (index: number): string => formatValueJson(tree.value(index), 'typed');
  const values = Array.from({ length: tree.leafCount }, (_, index) => text(index));
  const changedAtLeastOnce = new Set<number>();
  for (let tick = 0; tick < 2000; tick += 1) {
    for (const index of tree.advance(6).updated) {
      expect([tree.shape(index).text, text(index)]).not.toEqual([tree.shape(index).text, values[index]]);
      values[index] = text(index);
      changedAtLeastOnce.add(index);
    }
  }
  const { busy, calm } = tree.model;
  expect(changedAtLeastOnce.size).toBe(1 + busy.length + calm.length);
});

test('property: whatever happens to a device, its stream counts 1, 2, 3 … and a collector ends with its truth', async () => {
  const action = fc.oneof(
    { weight: 10, arbitrary: fc.constant('tick' as const) },
    fc.constantFrom(
      'remove' as const,
      'add' as const,
      'delete' as const,
      'set' as const,
      'restore' as const,
      'alarms' as const,
    ),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 1, maxLength: 150 }), async (actions) => {
      await withFleet({ updates: 7 }, async (fleet) => {
        const device = fleet.device('dut-1');
        const client = new GnmiClient(device.address);
        try {
          const before = device.sequence;
          const subscriber = client.subscribe(streamOf(['/']));
          await subscriber.synced();
          const walked = subscriber.responses.length;
          for (const one of actions) {
            if (one === 'tick') device.tick();
            else if (one === 'remove') await device.apply({ kind: 'remove-interface', interface: 'Ethernet1/1' });
            else if (one === 'add') await device.apply({ kind: 'add-interface', interface: 'Ethernet1/1' });
            else if (one === 'delete')
              await device.apply({ kind: 'delete', path: '/components/component[name=*]/state' });
            else if (one === 'alarms') await device.apply({ kind: 'delete', path: '/system' });
            else if (one === 'set') device.setLeaf('/simulator/added[key=a\\]b]', { kind: 'string', value: 'x' });
            else await device.apply({ kind: 'restore' });
          }
          device.tick();
          await subscriber.until('the last tick', () => subscriber.sequences().at(-1) === BigInt(device.sequence));
          // A generation of the container follows its tick.
          const last = [...device.truth().values()].map((leaf) => leaf.timestampNs).reduce((a, b) => (a > b ? a : b));
          await subscriber.until('everything', () =>
            subscriber.responses.some(({ update }) => update?.timestamp === last),
          );
          expect(subscriber.sequences(walked)).toEqual(
            Array.from({ length: device.sequence - before }, (_, index) => BigInt(before + index + 1)),
          );
          expect(plain(subscriber.leaves)).toEqual(plain(device.truth()));
        } finally {
          client.close();
        }
      });
    }),
    { numRuns: 15 },
  );
}, 30_000);

test('a leaf that was added keeps its value when the device is restored, since nobody is told of another', () => {
  const fleet = testFleet();
  const device = fleet.device('dut-1');
  device.setLeaf('/simulator/added', { kind: 'string', value: 'x' });
  const before = device.sequence;
  device.restoreLeaves('/');
  expect([device.sequence, device.truth().get('openconfig:/simulator/added')?.value]).toEqual([
    before,
    { kind: 'string', value: 'x' },
  ]);
});

const plain = (leaves: ReadonlyMap<string, { value: unknown; timestampNs: bigint }>): object =>
  Object.fromEntries([...leaves].map(([leaf, { value, timestampNs }]) => [leaf, { value, timestampNs }]));

test('two subscribers of one device see the same bytes', async () => {
  await withFleet({}, async (fleet) => {
    const device = fleet.device('dut-1');
    const client = new GnmiClient(device.address);
    const [a, b] = [client.subscribe(streamOf(['/'])), client.subscribe(streamOf(['/']))];
    await a.synced();
    await b.synced();
    const from = a.raw.length;
    for (let tick = 0; tick < 100; tick += 1) device.tick();
    await a.until('100 ticks', () => a.sequences(from).length === 100);
    await b.until('100 ticks', () => b.sequences(from).length === 100);
    expect(a.raw.slice(from)).toEqual(b.raw.slice(from));
    client.close();
  });
});

test('the fleet ticks by itself at its rate, stands still while paused, and goes on without a hole', async () => {
  await withFleet({ names: ['a', 'b', 'c'], rate: 50, updates: 5 }, async (fleet) => {
    const client = new GnmiClient(fleet.device('b').address);
    const subscriber = client.subscribe(streamOf(['/']));
    await subscriber.synced();
    const from = subscriber.responses.length;
    const beganAt = performance.now();
    await subscriber.until('25 ticks', () => subscriber.sequences(from).length >= 25);
    const tookMs = performance.now() - beganAt;
    expect(tookMs).toBeGreaterThan(300);
    expect(tookMs).toBeLessThan(1500);
    fleet.pause();
    const stood = fleet.emitted('b');
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(fleet.emitted('b')).toBe(stood);
    await subscriber.until('what was emitted', () => subscriber.sequences().at(-1) === stood);
    expect(plain(subscriber.leaves)).toEqual(plain(fleet.truth('b')));
    fleet.resume();
    await subscriber.until('more', () => (subscriber.sequences().at(-1) ?? 0n) > stood + 5n);
    const numbers = subscriber.sequences(from);
    expect(numbers).toEqual(numbers.map((_, index) => numbers[0]! + BigInt(index)));
    client.close();
  });
});

test('500 devices of about 200 leaves listen within three seconds', async () => {
  const beganAt = performance.now();
  const names = Array.from({ length: 500 }, (_, index) => `d-${index}`);
  await withFleet({ names, size: { interfaces: 8, blobBytes: 8192 } }, async (fleet) => {
    expect(performance.now() - beganAt).toBeLessThan(3000);
    expect(new Set(fleet.devices.map(({ port }) => port)).size).toBe(500);
    expect(fleet.truth('d-499').size).toBeGreaterThan(190);
  });
});
