/** What is odd or too much for the gNMI server: its code, and that each limit is a setting. The HTTP side is bad-input*.test.ts. */
import { afterEach, describe, expect, test } from '@jest/globals';
import { status } from '@grpc/grpc-js';
import { systemClock } from '../../core/clock.ts';
import { gnmi } from '../../schemas/gnmi.ts';
import { decodeTypedValue } from '../../schemas/value.ts';
import { path, streamOf } from '../simulator/subscriber.ts';
import { type GnmiFixture, startGnmi, string, uint } from './gnmi-fixture.ts';
import { told } from './gnmi-told.ts';

let fixture: GnmiFixture;
afterEach(() => fixture.stop());

const prefix = { target: 'dut', origin: '', elems: [] };
const get = (paths: readonly string[]): Promise<Buffer> =>
  fixture
    .connect()
    .unary('Get', gnmi.GetRequest.encode({ prefix, path: paths.map((one) => path(one)), encoding: 'PROTO' }));
const once = async (paths: readonly string[]) => {
  const subscriber = fixture.connect().subscribe(streamOf(paths, { prefix, mode: 'ONCE' }));
  return { end: await subscriber.ended(), told: told(subscriber) };
};
/** `/e` as often. */
const deep = (elements: number): string => '/e'.repeat(elements);

describe('limits are settings', () => {
  test('elements of a path, in Get and Subscribe', async () => {
    fixture = await startGnmi({ settings: { maxPathElements: 4 } });
    fixture.addDevice('dut', [{ path: deep(4), value: uint(1) }]);
    for (const elements of [5, 10_000]) {
      await expect(get([deep(elements)])).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
      expect((await once([deep(elements)])).end).toMatchObject({ code: status.INVALID_ARGUMENT });
    }
    await get([deep(4)]);
    expect(await once([deep(4)])).toMatchObject({ end: { code: status.OK }, told: [`${deep(4)}=1`, 'sync'] });
  });

  test('paths of one request', async () => {
    fixture = await startGnmi({ settings: { gnmiMaxSubscriptions: 2 } });
    fixture.addDevice('dut', [{ path: '/e', value: uint(1) }]);
    await expect(get(['/e', '/e', '/e'])).rejects.toMatchObject({ code: status.RESOURCE_EXHAUSTED });
    expect((await once(['/e', '/e', '/e'])).end).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
    await get(['/e', '/e']);
    expect((await once(['/e', '/e'])).end).toMatchObject({ code: status.OK });
  });

  test('Gets that are being made: of more at a time the others have their code, and later ones are answered', async () => {
    fixture = await startGnmi({ settings: { gnmiMaxStreams: 2, gnmiMaxGetBytes: 16_777_216 }, clock: systemClock });
    const leaves = Array.from({ length: 500 }, (_, n) => ({ path: `/a/b[k=${n}]/c`, value: uint(1) }));
    for (let n = 0; n < 40; n += 1) fixture.addDevice(`d${n}`, leaves);
    fixture.addDevice('dut', [{ path: '/e', value: uint(1) }]);
    const client = fixture.connect();
    const all = { target: '*', origin: '', elems: [] };
    const request = gnmi.GetRequest.encode({ prefix: all, path: [path('/a')], encoding: 'PROTO' });
    const codes = await Promise.all(
      Array.from({ length: 50 }, () =>
        client.unary('Get', request).then(
          () => status.OK,
          (error: unknown) => Number((error as { code: unknown }).code),
        ),
      ),
    );
    expect([...new Set(codes)].sort()).toEqual([0, 8]); // OK, RESOURCE_EXHAUSTED
    expect(codes.filter((code) => code === 0).length).toBeGreaterThanOrEqual(2);
    await get(['/e']);
  });

  test('streams of all clients, and a place is free again when one ends', async () => {
    fixture = await startGnmi({ settings: { gnmiMaxStreams: 2 } });
    fixture.addDevice('dut', [{ path: '/e', value: uint(1) }]);
    const open = () => fixture.connect().subscribe(streamOf(['/e'], { prefix }));
    const [first, second] = [open(), open()];
    await Promise.all([first.synced(), second.synced()]);
    expect(await open().ended()).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
    first.cancel();
    await first.ended();
    await open().synced();
  });
});

test('names of every object are names: `__proto__` as a list key, an element and a value', async () => {
  fixture = await startGnmi();
  const leaf = '/a/b[__proto__=x]/__proto__';
  fixture.addDevice('dut', [
    { path: leaf, value: string('__proto__') },
    { path: '/a/b[constructor=x]/c', value: uint(1) },
  ]);
  for (const asked of [leaf, '/a/b[__proto__=x]', '/a/b[__proto__=*]/__proto__'])
    expect((await once([asked])).told).toEqual([`${leaf}=__proto__`, 'sync']);
  const { notification } = gnmi.GetResponse.decode(await get([leaf]));
  const values = notification.flatMap(({ update }) =>
    update.map(({ val }) => decodeTypedValue(val ?? Buffer.alloc(0))),
  );
  expect(values).toEqual([string('__proto__')]);
  expect(({} as Record<string, unknown>)['x']).toBeUndefined();
});

test('wildcards that match everything bring everything once', async () => {
  fixture = await startGnmi();
  const leaves = Array.from({ length: 500 }, (_, n) => ({ path: `/a/b[k=${n}]/c`, value: uint(1) }));
  fixture.addDevice('dut', leaves);
  const all = [...leaves.map((leaf) => `${leaf.path}=1`).sort(), 'sync'];
  for (const asked of [['/...'], ['/...', '/*', '/'], ['/*/...', '/.../c']])
    expect((await once(asked)).told.toSorted()).toEqual(all.toSorted());
});
