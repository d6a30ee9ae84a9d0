/** What streams carry: values in their forms, atomic groups, health leaves. Over real sockets. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { formatPath } from '../../schemas/path.ts';
import { decodeTypedValue, encodeTypedValue } from '../../schemas/value.ts';
import { path, streamOf, type Subscriber } from '../simulator/subscriber.ts';
import { dut, type List, ms, octets, subscribe, up } from './gnmi-dut.ts';
import { type GnmiFixture, startGnmi, uint } from './gnmi-fixture.ts';
import { openPaused } from './gnmi-paused.ts';
import { told } from './gnmi-told.ts';

let fixture: GnmiFixture;
beforeEach(async () => {
  fixture = await startGnmi();
});
afterEach(() => fixture.stop());

const start = (paths: readonly string[], list: List = {}, more: object = {}): Subscriber =>
  subscribe(fixture, paths, list, more);

describe('health leaves as a stream', () => {
  const health = (subscriber: Subscriber): string[] =>
    subscriber.responses.flatMap(({ update }) => [
      ...(update?.delete ?? []).map((one) => `-${one.elems[1]?.name}`),
      ...(update?.update ?? []).map((one) => `${one.path?.elems[1]?.name}=${text(one.val)}`),
    ]);
  const text = (val: Buffer | undefined): string => {
    const value = decodeTypedValue(val ?? Buffer.alloc(0));
    return value !== null && 'value' in value ? String(value.value) : '';
  };

  test('come with the first set, and again when they change: a device that is lost, leaves that come and go', async () => {
    fixture.addDevice('dut', [{ path: octets, value: uint(1), timestampNs: 5n }]);
    const subscriber = start(['/meta']);
    await subscriber.synced();
    expect(health(subscriber)).toEqual(
      expect.arrayContaining(['sync=true', 'connected=true', 'targetLeaves=1', 'latestTimestamp=5']),
    );
    const first = health(subscriber).length;
    fixture.say('dut', { set: [{ path: up, value: uint(1), timestampNs: 9n }] });
    fixture.setStatus('dut', { state: 'waiting', code: 'UNREACHABLE', detail: 'no route' });
    await subscriber.until('the changes', () => health(subscriber).includes('targetLeaves=2'));
    const told = health(subscriber)
      .slice(first)
      .filter((line) => !line.startsWith('stalenessMs'));
    expect(told.sort()).toEqual(
      [
        '-connectedAddress',
        'connectError=UNREACHABLE: no route',
        'connected=false',
        'latestTimestamp=9',
        'sync=false',
        'targetLeaves=2',
      ].sort(),
    );
    expect(subscriber.responses.every(({ update }) => update?.prefix?.target !== '')).toBe(true);
  });
});

describe('values', () => {
  const values = [
    ['PROTO', uint(18_446_744_073_709_551_615n), encodeTypedValue(uint(18_446_744_073_709_551_615n))],
    [
      'JSON',
      uint(18_446_744_073_709_551_615n),
      encodeTypedValue({ kind: 'json', value: Buffer.from('18446744073709551615') }),
    ],
    [
      'JSON_IETF',
      uint(18_446_744_073_709_551_615n),
      encodeTypedValue({ kind: 'json_ietf', value: Buffer.from('"18446744073709551615"') }),
    ],
    [
      'JSON',
      { kind: 'json_ietf', value: Buffer.from('{"a":9007199254740993}') } as const,
      encodeTypedValue({ kind: 'json', value: Buffer.from('{"a":9007199254740993}') }),
    ],
  ] as const;
  test.each(values)(
    '%s gives a value in its own form, to the last digit (E7, E8, V2, V3)',
    async (encoding, value, val) => {
      fixture.addDevice('dut', [{ path: '/a', value }]);
      const subscriber = start(['/a'], { mode: 'ONCE', encoding });
      await subscriber.ended();
      expect(subscriber.responses[0]?.update?.update[0]?.val).toEqual(val);
    },
  );

  test('JSON and JSON_IETF of devices are not in one message (E8)', async () => {
    fixture.addDevice('dut', [
      { path: '/a', value: { kind: 'json', value: Buffer.from('1') }, timestampNs: 1n },
      { path: '/b', value: { kind: 'json_ietf', value: Buffer.from('1') }, timestampNs: 1n },
      { path: '/c', value: { kind: 'json_ietf', value: Buffer.from('2') }, timestampNs: 1n },
    ]);
    const subscriber = start(['/'], { mode: 'ONCE', encoding: 'PROTO' });
    await subscriber.ended();
    const sizes = subscriber.responses.map(
      ({ update }) => update?.update.filter((one) => one.path?.elems[0]?.name !== 'meta').length,
    );
    expect(sizes.filter((size) => size !== undefined && size > 0)).toEqual([1, 2]);
  });
});

describe('atomic groups (A10)', () => {
  const root = '/acl/set[name=x]';
  const entry = (name: string, value: number, timestampNs = 3n) => ({
    path: `${root}/${name}`,
    value: uint(value),
    timestampNs,
    atomicRoot: root,
  });
  const atomics = (subscriber: Subscriber) =>
    subscriber.responses.flatMap(({ update }) =>
      update?.atomic === true
        ? [
            {
              prefix: formatPath({ ...update.prefix!, origin: '', target: '' }),
              leaves: update.update.length,
              deletes: update.delete.length,
              timestamp: update.timestamp,
            },
          ]
        : [],
    );

  test('a walk and a change send the group whole, under its prefix, with one time', async () => {
    fixture.addDevice('dut', [entry('a', 1), { path: '/acl/set[name=w]/plain', value: uint(9) }, entry('b', 2)]);
    const subscriber = start(['/acl']);
    await subscriber.synced();
    expect(atomics(subscriber)).toEqual([{ prefix: root, leaves: 2, deletes: 0, timestamp: 3n }]);
    fixture.say('dut', { set: [entry('a', 3, 4n), entry('c', 4, 4n)], gone: [`${root}/b`] });
    await subscriber.until('the change', () => atomics(subscriber).length === 2);
    expect(atomics(subscriber)[1]).toEqual({ prefix: root, leaves: 2, deletes: 1, timestamp: 4n });
    expect(told(subscriber).filter((line) => line.startsWith(`${root}/a`))).toEqual([`${root}/a=1`, `${root}/a=3`]);
  });

  test('a subscription narrower than the group gets the covered leaves, still atomic (A9)', async () => {
    fixture.addDevice('dut', [entry('a', 1), entry('b', 2)]);
    const subscriber = start([`${root}/a`]);
    await subscriber.synced();
    fixture.say('dut', { set: [entry('b', 5, 4n), entry('a', 5, 4n)] });
    await subscriber.until('the change', () => atomics(subscriber).length === 2);
    expect(atomics(subscriber)).toMatchObject([{ leaves: 1 }, { leaves: 1 }]);
  });

  test('two paths of one list into one group: it comes whole, with the leaves of both (A9)', async () => {
    fixture.addDevice('dut', [entry('a', 1), entry('b', 2), entry('c', 3)]);
    const list = dut({
      subscription: [
        { path: path(`${root}/a`), mode: 'ON_CHANGE' },
        { path: path(`${root}/c`), mode: 'SAMPLE', sampleInterval: ms(3_600_000) },
      ],
    });
    const subscriber = fixture.connect().subscribe(streamOf([], list));
    await subscriber.synced();
    fixture.say('dut', { set: [entry('a', 7, 4n), entry('b', 7, 4n), entry('c', 7, 4n)] });
    await subscriber.until('the change', () => atomics(subscriber).length === 2);
    expect(atomics(subscriber)).toMatchObject([{ leaves: 2 }, { leaves: 2 }]);
  });
});

test('a leaf that goes back to what it was at first is updated, not deleted, however much of it waits (D5, N15)', () => {
  fixture.addDevice('dut', [{ path: '/e', value: uint(1), timestampNs: 1n }]);
  const paused = openPaused(fixture, ['/e'], 'dut');
  expect(told({ responses: paused.tell() })).toEqual(['/e=1', 'sync']);
  for (const [value, timestampNs] of [
    [2, 2n],
    [1, 3n],
  ] as const)
    fixture.say('dut', { set: [{ path: '/e', value: uint(value), timestampNs }] });
  const responses = paused.tell();
  expect(told({ responses })).toEqual(['/e=1']);
  expect(responses[0]?.update).toMatchObject({ timestamp: 3n, update: [{ duplicates: 1 }] });
  paused.close();
});
