/** What a stream tells in which order when its reader is behind: at moments that the test chooses, without sockets. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type SubscribeResponse } from '../../schemas/gnmi.ts';
import { type GnmiFixture, startGnmi, uint } from './gnmi-fixture.ts';
import { openPaused } from './gnmi-paused.ts';
import { told } from './gnmi-told.ts';

let fixture: GnmiFixture;
beforeEach(async () => {
  fixture = await startGnmi();
});
afterEach(() => fixture.stop());

const open = (...more: Parameters<typeof openPaused> extends [unknown, ...infer Rest] ? Rest : never) =>
  openPaused(fixture, ...more);

const lines = (responses: readonly SubscribeResponse[]): string[] => told({ responses: [...responses] });
const leaf = (path: string, value: number) => ({ path, value: uint(value) });

test('whoever comes late is not left with what the others never heard of (B5)', async () => {
  fixture.addDevice('d');
  const health = (responses: readonly SubscribeResponse[]): string[] =>
    responses.flatMap(({ update }) =>
      (update?.update ?? []).flatMap(({ path, val }) =>
        path?.elems[1]?.name === 'connected' ? [val?.toString('hex') ?? ''] : [],
      ),
    );
  const [yes, no] = ['2001', '2000'];
  const early = open(['/meta'], 'd');
  expect(health(early.tell())).toEqual([yes]);
  fixture.setStatus('d', { state: 'waiting', code: 'UNREACHABLE', detail: '' });
  const late = open(['/meta'], 'd');
  expect(health(late.tell())).toEqual([no]);
  fixture.setStatus('d');
  await fixture.clock.sleep(1_100);
  expect(health(late.tell())).toEqual([yes]);
  expect(health(early.tell())).toEqual([yes]);
  early.close();
  late.close();
});

describe('a device that is removed and added again while its reader is behind (G3, O4, D12)', () => {
  test('its new leaves come behind the delete of the old ones', () => {
    fixture.addDevice('d', [leaf('/a', 1)]);
    const { tell, close } = open(['/a']);
    expect(lines(tell())).toEqual(['/a=1', 'sync']);
    fixture.removeDevice('d');
    fixture.addDevice('d', [leaf('/a', 2)]);
    expect(lines(tell())).toEqual(['-/*', '/a=2']);
    close();
  });

  test.each([{ updatesOnly: true }, { updatesOnly: false }])(
    'a change before the removal and one behind it stay on their sides: %j',
    (list) => {
      fixture.addDevice('d', [leaf('/a', 1)]);
      const { tell, close } = open(['/a'], '*', list);
      tell();
      fixture.say('d', { set: [leaf('/a', 2)] });
      fixture.removeDevice('d');
      fixture.addDevice('d', [leaf('/a', 3)]);
      expect(lines(tell())).toEqual(['/a=2', '-/*', '/a=3']);
      close();
    },
  );

  test('a walk that is not over does not take a change from behind the removal', () => {
    fixture.addDevice('d', [leaf('/a', 1), leaf('/b', 1)]);
    const { stream, tell, close } = open(['/a', '/b']);
    stream.work(() => true); // one leaf of two
    fixture.removeDevice('d');
    fixture.addDevice('d', [leaf('/b', 2)]);
    const last = lines(tell());
    expect(last.slice(last.indexOf('-/*') + 1)).toEqual(expect.arrayContaining(['/a=1', '/b=2']));
    close();
  });

  test('changes of another device merge across the removal: the newest value is the last one told (G1)', () => {
    fixture.addDevice('d', [leaf('/a', 1)]);
    fixture.addDevice('e', [leaf('/a', 1)]);
    const { tell, close } = open(['/a']);
    tell();
    fixture.say('e', { set: [leaf('/a', 2)] });
    fixture.removeDevice('d');
    fixture.say('e', { set: [leaf('/a', 3)] });
    expect(lines(tell())).toEqual(['/a=3', '-/*']);
    close();
  });

  test('what was told before the delete is not taken for sent: the next sample has it (M7)', async () => {
    fixture.addDevice('d', [leaf('/a', 1), leaf('/b', 1)]);
    const subscription = [
      { path: { origin: '', target: '', elems: [{ name: 'a', keys: new Map() }] }, mode: 'ON_CHANGE' },
      {
        path: { origin: '', target: '', elems: [{ name: 'a', keys: new Map() }] },
        mode: 'SAMPLE',
        sampleInterval: 100_000_000n,
        suppressRedundant: true,
      },
    ];
    const { tell, close } = open([], '*', { subscription, updatesOnly: true });
    tell();
    fixture.say('d', { set: [leaf('/a', 2)] });
    fixture.removeDevice('d');
    fixture.addDevice('d');
    expect(lines(tell())).toEqual(['/a=2', '-/*']);
    await fixture.clock.sleep(150);
    expect(lines(tell())).toEqual(['/a=2']);
    close();
  });
});
