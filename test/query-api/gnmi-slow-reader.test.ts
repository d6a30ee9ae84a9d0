/**
 * A reader that does not read costs what its leaves cost, and the counts add up; with the order of R1 turned round a change
 * is lost, which the first test notices.
 */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { EventEmitter } from 'node:events';
import { status } from '@grpc/grpc-js';
import { isRefusal } from '../../core/gnmi/refusal.ts';
import { planSubscribe } from '../../core/gnmi/subscribe-plan.ts';
import { type GnmiHub, type HubReader } from '../../query-api/gnmi-hub.ts';
import { GnmiOutbox } from '../../query-api/gnmi-outbox.ts';
import { GnmiStream } from '../../query-api/gnmi-stream.ts';
import { GnmiWriter } from '../../query-api/gnmi-writer.ts';
import { gnmi } from '../../schemas/gnmi.ts';
import { formatPath } from '../../schemas/path.ts';
import { decodeTypedValue } from '../../schemas/value.ts';
import { path as pathOf, streamOf, type Subscriber } from '../simulator/subscriber.ts';
import { pushedClock } from './api-fixture.ts';
import { type GnmiFixture, startGnmi, string, uint } from './gnmi-fixture.ts';
import { openPaused } from './gnmi-paused.ts';

let fixture: GnmiFixture;
beforeEach(async () => {
  fixture = await startGnmi();
});
afterEach(() => fixture.stop());

const dut = { prefix: { target: 'dut', origin: '', elems: [] } };
const name = (index: number): string => `/l/leaf[i=${index}]/v`;
const counted = async (metric: string): Promise<number> => {
  const { values } = await fixture.registry.registry.getSingleMetric(`holdfast_query_api_gnmi_${metric}_total`)!.get();
  return values.reduce((sum, { value }) => sum + value, 0);
};
const updatesIn = (subscriber: Subscriber): number =>
  subscriber.responses.reduce((sum, { update }) => sum + (update?.update.length ?? 0), 0);
const duplicatesIn = (subscriber: Subscriber): number =>
  subscriber.responses
    .flatMap(({ update }) => update?.update ?? [])
    .reduce((sum, { duplicates }) => sum + duplicates, 0);

test('a stalled reader gets the newest values when it reads again; what they stand for adds up (T22, N15)', async () => {
  const leaves = 100;
  const rounds = 200;
  const blob = 'x'.repeat(1_000);
  const all = (round: number) =>
    Array.from({ length: leaves }, (_, index) => ({ path: name(index), value: string(`${round} ${blob}`) }));
  fixture.addDevice('dut', all(0));
  const subscriber = fixture.connect().subscribe(streamOf(['/l'], dut));
  await subscriber.synced();
  subscriber.call.pause();
  for (let round = 1; round <= rounds; round += 1) {
    fixture.say('dut', { set: all(round) }); // 100 kB each, 20 MB in all
    await fixture.clock.sleep(0);
  }
  const handedOn = (await counted('updates')) - leaves;
  expect(handedOn).toBeLessThan((leaves * rounds) / 10); // the transport's windows, not the log
  subscriber.call.resume();
  const last = (): boolean =>
    [...subscriber.leaves.values()].every(
      ({ value }) => value?.kind === 'string' && value.value.startsWith(`${rounds} `),
    );
  await subscriber.until('the last values', last);
  expect(updatesIn(subscriber) + duplicatesIn(subscriber)).toBe(leaves * (rounds + 1));
  expect(await counted('coalesced')).toBe(duplicatesIn(subscriber));
  expect(await counted('updates')).toBe(updatesIn(subscriber));
}, 20_000);

test('a reader that takes nothing for longer than the setting ends with RESOURCE_EXHAUSTED', async () => {
  await fixture.stop();
  fixture = await startGnmi({ settings: { gnmiBlockedMsMax: 500 } });
  const blob = 'x'.repeat(100_000);
  fixture.addDevice(
    'dut',
    Array.from({ length: 400 }, (_, index) => ({ path: name(index), value: string(blob) })),
  );
  const client = fixture.connect();
  const stalled = client.subscribe(streamOf(['/l'], { ...dut, mode: 'ONCE' }));
  stalled.call.pause();
  const ended = async (): Promise<boolean> => {
    const { values } = await fixture.metrics.rpcs.get();
    return values.some(({ labels, value }) => labels.code === 'RESOURCE_EXHAUSTED' && value === 1);
  };
  for (let waitedMs = 0; !(await ended()); waitedMs += 50) {
    if (waitedMs > 6_000) throw new Error('the stream was not ended');
    await fixture.clock.sleep(50);
  }
  stalled.call.resume();
  expect(await stalled.ended()).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
}, 15_000);

test('cancelled, a stream frees its place in the hub and its timers at once (S6)', async () => {
  fixture.addDevice('dut', [{ path: name(1), value: uint(1) }]);
  const sampled = { mode: 'SAMPLE', sampleInterval: 100_000_000n };
  const subscriber = fixture.connect().subscribe(streamOf(['/'], dut, sampled));
  await subscriber.synced();
  subscriber.cancel();
  await subscriber.ended();
  for (;;) {
    const { values } = await fixture.metrics.streams.get();
    if (values[0]?.value === 0) break;
    await fixture.clock.sleep(5);
  }
});

test('a reader that is slower than its changes is sampled all the same (M5)', async () => {
  const each = (path: string, more: object) => ({ path: pathOf(path), ...more });
  fixture.addDevice('dut', [{ path: '/sampled', value: uint(1) }]);
  const sampled = each('/sampled', { mode: 'SAMPLE', sampleInterval: 100_000_000n });
  const list = { subscription: [each('/l', { mode: 'ON_CHANGE' }), sampled] };
  const { tell, tellSome, close } = openPaused(fixture, [], 'dut', list);
  tell();
  let samples = 0;
  let changes = 0;
  for (let round = 0; samples < 3 && round < 2_000; round += 1) {
    fixture.say('dut', { set: [2 * round, 2 * round + 1].map((index) => ({ path: name(index), value: uint(1) })) });
    for (const message of tellSome(1)) {
      for (const { path } of gnmi.SubscribeResponse.decode(message).update?.update ?? []) {
        if (formatPath(path!) === '/sampled') samples += 1;
        else changes += 1;
      }
    }
    await fixture.clock.sleep(1);
  }
  close();
  expect(samples).toBe(3);
  expect(changes).toBeGreaterThan(10); // and they do not wait for each other
});

test('polls that wait are bounded: one more ends the RPC, and those that were taken have their answers (M2)', async () => {
  await fixture.stop();
  fixture = await startGnmi({ settings: { gnmiMaxPolls: 20 } });
  const blob = 'x'.repeat(100_000);
  const set = Array.from({ length: 10 }, (_, index) => ({ path: name(index), value: string(blob) }));
  fixture.addDevice('dut', set);
  const client = fixture.connect();
  const polling = async (polls: number): Promise<Subscriber> => {
    const subscriber = client.subscribe(streamOf(['/l'], { ...dut, mode: 'POLL' }));
    await subscriber.synced();
    subscriber.call.pause();
    for (let poll = 0; poll < polls; poll += 1) subscriber.send({ poll: {} });
    subscriber.call.end();
    await fixture.clock.sleep(200);
    subscriber.call.resume();
    return subscriber;
  };
  const modest = await polling(20);
  expect(await modest.ended()).toMatchObject({ code: status.OK });
  expect(modest.syncs).toBe(21);
  expect(updatesIn(modest)).toBe(21 * set.length);
  expect(await (await polling(100)).ended()).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
}, 20_000);

test('the sync stands before the samples, though they fall due in the first walk (S11)', async () => {
  const leaves = Array.from({ length: 20 }, (_, index) => ({ path: name(index), value: uint(index) }));
  fixture.addDevice('dut', leaves);
  const { tell, tellSome, close } = openPaused(
    fixture,
    ['/l'],
    'dut',
    {},
    { mode: 'SAMPLE', sampleInterval: 100_000_000n },
  );
  tellSome(5);
  await fixture.clock.sleep(150);
  const responses = tell();
  close();
  const sync = responses.findIndex(({ syncResponse }) => syncResponse === true);
  const before = responses.slice(0, sync).reduce((sum, { update }) => sum + (update?.update.length ?? 0), 0);
  expect(sync).toBeGreaterThan(0);
  expect(before).toBeLessThanOrEqual(leaves.length);
});

describe('order of the walk and the feed (S13)', () => {
  /** A change behind the walk, at a moment that the test chooses: no sockets. Returns what a reader holds in the end. */
  const play = (joinsFirst: boolean): unknown => {
    const set = Array.from({ length: 10 }, (_, index) => ({ path: name(index), value: uint(1) }));
    fixture.addDevice('dut', set);
    const { hub } = fixture.context;
    let joinLate = (): void => undefined;
    const late = Object.assign(Object.create(hub) as GnmiHub, {
      join: (reader: HubReader) => {
        joinLate = () => void hub.join(reader); // the mistake: it walks first
        return () => undefined;
      },
    });
    const list = gnmi.SubscribeRequest.decode(gnmi.SubscribeRequest.encode(streamOf(['/l'], dut))).subscribe!;
    const plan = planSubscribe(list, { offers: ['PROTO'], sampleIntervalMsMin: 100 });
    if (isRefusal(plan)) throw new Error(plan.details);
    const held = new Map<string, bigint>();
    const call = Object.assign(new EventEmitter(), {
      write: (message: Buffer) => {
        for (const { path, val } of gnmi.SubscribeResponse.decode(message).update?.update ?? []) {
          const value = decodeTypedValue(val ?? Buffer.alloc(0));
          if (value?.kind === 'uint') held.set(formatPath(path!), value.value);
        }
        return true;
      },
    });
    const [onReady, onBlockedTooLong, wake, end] = Array.from({ length: 4 }, () => () => undefined);
    const writer = new GnmiWriter({
      call,
      clock: fixture.clock,
      blockedMsMax: 1_000,
      onReady: onReady!,
      onBlockedTooLong: onBlockedTooLong!,
    });
    const context = joinsFirst ? fixture.context : { ...fixture.context, hub: late };
    const stream = new GnmiStream({ context, writer, plan, depth: 0, device: 'dut', wake: wake!, end: end! });
    stream.begin(['dut']);
    stream.work(() => true); // one leaf of ten
    fixture.say('dut', { set: [{ path: name(0), value: uint(2) }] });
    joinLate();
    while (stream.work(() => false));
    stream.close();
    writer.close();
    return held.get(name(0));
  };

  test('a change behind the walk is heard of', () => {
    expect(play(true)).toBe(2n);
  });

  test('the control: walked before it joined, the reader keeps the old value', () => {
    expect(play(false)).toBe(1n);
  });
});

test('Q1: what is put into an outbox is sent, merged or let go; a delete is never merged away (O1, O2, O3)', () => {
  const outbox = new GnmiOutbox(3);
  const change = (value: number) => ({
    leaf: { key: '/a', elems: [], value: Buffer.from([value]) },
    present: true,
    timestampNs: 1n,
  });
  outbox.put('d', '/a', change(1), false);
  outbox.put('d', '/b', change(1), false);
  outbox.putMarker({ kind: 'sync', device: '', timestampNs: 0n });
  outbox.put('d', '/a', change(2), true);
  outbox.put('d', '/a', change(3), false);
  outbox.put('d', '/a', change(4), false);
  expect(outbox.put('d', '/c', change(1), false)).toBe(false);
  expect(outbox.coalesced).toBe(2);
  expect(outbox.take()).toMatchObject({ key: '/a', merged: 2, deleted: change(2), updated: change(4) });
  expect(outbox.takeLeaf('d', '/b')).toMatchObject({ merged: 0, deleted: null });
  expect(outbox.take()).toMatchObject({ kind: 'sync' });
  expect(outbox.take()).toBeUndefined();
});

test('the writer stops at a false and at its byte bound, goes on when both are gone, and calls time', async () => {
  const clock = pushedClock();
  const taken: (() => void)[] = [];
  let accepts = true;
  const call = Object.assign(new EventEmitter(), {
    write: (_message: Buffer, done: () => void) => {
      taken.push(done);
      return accepts;
    },
  });
  const seen: string[] = [];
  const writer = new GnmiWriter({
    call,
    clock,
    blockedMsMax: 30,
    onReady: () => seen.push('ready'),
    onBlockedTooLong: () => seen.push('too long'),
  });
  writer.write(Buffer.alloc(65_535));
  expect(writer.blocked).toBe(false);
  writer.write(Buffer.alloc(1));
  expect(writer.blocked).toBe(true); // bytes
  taken.shift()!();
  expect(seen).toEqual(['ready']);
  accepts = false;
  writer.write(Buffer.alloc(1));
  expect(writer.blocked).toBe(true); // false
  for (const done of taken) done();
  expect(writer.blocked).toBe(true);
  call.emit('drain');
  expect(writer.blocked).toBe(false);
  writer.write(Buffer.alloc(70_000));
  await clock.sleep(60);
  expect(seen).toContain('too long');
  writer.close();
});
