/** What a stream tells in which order when its reader is behind: at moments that the test chooses, without sockets. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { EventEmitter } from 'node:events';
import { isRefusal } from '../../core/gnmi/refusal.ts';
import { planSubscribe } from '../../core/gnmi/subscribe-plan.ts';
import { GnmiStream } from '../../query-api/gnmi-stream.ts';
import { GnmiWriter } from '../../query-api/gnmi-writer.ts';
import { gnmi, type SubscribeResponse } from '../../schemas/gnmi.ts';
import { streamOf } from '../simulator/subscriber.ts';
import { type GnmiFixture, startGnmi, uint } from './gnmi-fixture.ts';
import { told } from './gnmi-told.ts';

let fixture: GnmiFixture;
beforeEach(async () => {
  fixture = await startGnmi();
});
afterEach(() => fixture.stop());

/** A stream that tells only when `tell` is called. */
function open(paths: readonly string[], target = '*', list: object = {}, more: object = {}) {
  const responses: SubscribeResponse[] = [];
  const call = Object.assign(new EventEmitter(), {
    write: (message: Buffer, done: () => void) => {
      responses.push(gnmi.SubscribeResponse.decode(message));
      done();
      return true;
    },
  });
  const nothing = (): void => undefined;
  const { clock, context } = fixture;
  const writer = new GnmiWriter({ call, clock, blockedMsMax: 1_000, onReady: nothing, onBlockedTooLong: nothing });
  const request = streamOf(paths, { prefix: { target, origin: '', elems: [] }, ...list }, more);
  const plan = planSubscribe(gnmi.SubscribeRequest.decode(gnmi.SubscribeRequest.encode(request)).subscribe!, {
    offers: ['PROTO'],
    sampleIntervalMsMin: 100,
  });
  if (isRefusal(plan)) throw new Error(plan.details);
  const device = target === '*' ? null : target;
  const stream = new GnmiStream({ context, writer, plan, depth: 0, device, wake: nothing, end: nothing });
  stream.begin(device === null ? [...fixture.tables.devices.keys()] : [device]);
  /** Everything that waits; returns what that was. */
  const tell = (): SubscribeResponse[] => {
    while (stream.work(() => false));
    return responses.splice(0);
  };
  const close = (): void => {
    stream.close();
    writer.close();
  };
  return { stream, tell, close };
}

const lines = (responses: readonly SubscribeResponse[]): string[] => told({ responses: [...responses] });
const leaf = (path: string, value: number) => ({ path, value: uint(value) });

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
