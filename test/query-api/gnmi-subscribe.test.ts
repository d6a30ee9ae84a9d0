/** Subscribe over real sockets; test names cite the rules they check. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { status } from '@grpc/grpc-js';
import { streamOf, type Subscriber } from '../simulator/subscriber.ts';
import { pushedClock } from './api-fixture.ts';
import { dut, type List, ms, octets, subscribe, up } from './gnmi-dut.ts';
import { type GnmiFixture, type GnmiFixtureOptions, startGnmi, string, uint } from './gnmi-fixture.ts';
import { told } from './gnmi-told.ts';

let fixture: GnmiFixture;
const restart = async (options: GnmiFixtureOptions): Promise<void> => {
  await fixture.stop();
  fixture = await startGnmi(options);
};
beforeEach(async () => {
  fixture = await startGnmi();
});
afterEach(() => fixture.stop());

const start = (paths: readonly string[], list: List = {}, more: object = {}): Subscriber =>
  subscribe(fixture, paths, list, more);
describe('modes', () => {
  beforeEach(() => {
    fixture.addDevice('dut', [
      { path: up, value: string('UP'), timestampNs: 5n },
      { path: octets, value: uint(1), timestampNs: 7n },
    ]);
  });

  test('ONCE sends all values with the times of the device, one sync, and ends with OK (M1)', async () => {
    const subscriber = start(['/if'], { mode: 'ONCE' });
    expect(await subscriber.ended()).toMatchObject({ code: status.OK });
    expect(told(subscriber)).toEqual([`${octets}=1`, `${up}=UP`, 'sync']);
    expect([...subscriber.leaves.values()].map(({ timestampNs }) => timestampNs)).toEqual([7n, 5n]);
  });

  test('POLL sends a first set unasked and one per poll (M2); it is over when the client has no more', async () => {
    const subscriber = start([octets], { mode: 'POLL' });
    await subscriber.synced(1);
    fixture.say('dut', { set: [{ path: octets, value: uint(2) }] });
    subscriber.send({ poll: {} });
    subscriber.send({ poll: {} });
    subscriber.call.end();
    expect(await subscriber.ended()).toMatchObject({ code: status.OK });
    expect(told(subscriber)).toEqual([`${octets}=1`, 'sync', `${octets}=2`, 'sync', `${octets}=2`, 'sync']);
  });

  test('ON_CHANGE sends the full set, the sync, then only changes, deletes among them (M3, S11, D11)', async () => {
    const subscriber = start(['/if'], {}, { mode: 'ON_CHANGE' });
    await subscriber.synced();
    fixture.say('dut', { set: [{ path: octets, value: uint(2) }] });
    fixture.say('dut', { gone: [up] });
    await subscriber.until('both changes', () => told(subscriber).length === 5);
    expect(told(subscriber).slice(2)).toEqual(['sync', `${octets}=2`, `-${up}`]);
  });

  test('a value that stays the same with a newer time is not sent on change, but its age moves on (section 13)', async () => {
    const subscriber = start([octets]);
    await subscriber.synced();
    fixture.say('dut', { set: [{ path: octets, value: uint(1), timestampNs: 100n }] });
    fixture.say('dut', { set: [{ path: octets, value: uint(2), timestampNs: 101n }] });
    fixture.say('dut', { set: [{ path: octets, value: uint(2), timestampNs: 102n }] });
    await subscriber.until('the change', () => told(subscriber).length === 3);
    const once = start([octets], { mode: 'ONCE' });
    await once.ended();
    expect(once.leaves.get(`openconfig:${octets}`)?.timestampNs).toBe(102n);
    expect(told(subscriber)).toEqual([`${octets}=1`, 'sync', `${octets}=2`]);
    expect((await fixture.metrics.suppressed.get()).values[0]?.value).toBe(2);
  });

  test.each(['ONCE', 'POLL', 'STREAM'] as const)('%s with updates_only sends the sync alone (M11)', async (mode) => {
    const subscriber = start(['/if'], { mode, updatesOnly: true });
    await subscriber.synced();
    expect(told(subscriber)).toEqual(['sync']);
    if (mode !== 'STREAM') return;
    fixture.say('dut', { set: [{ path: octets, value: uint(2) }] });
    await subscriber.until('the change', () => told(subscriber).length === 2);
  });

  test('SAMPLE sends each leaf once per interval, changed or not, with the time of its value (M5)', async () => {
    const subscriber = start([octets], {}, { mode: 'SAMPLE', sampleInterval: ms(100) });
    await subscriber.until('four samples', () => told(subscriber).length >= 6);
    expect(told(subscriber).filter((line) => line === `${octets}=1`).length).toBeGreaterThanOrEqual(5);
    expect(subscriber.leaves.get(`openconfig:${octets}`)?.timestampNs).toBe(7n);
  });

  test('suppress_redundant is decided per leaf, keys and all (M7); the heartbeat sends it anyhow (M8)', async () => {
    const other = '/if/i[name=e2]/state/octets';
    fixture.say('dut', { set: [{ path: other, value: uint(1) }] });
    const sample = { mode: 'SAMPLE', sampleInterval: ms(100), suppressRedundant: true, heartbeatInterval: ms(1_000) };
    const subscriber = start(['/if/i/state/octets'], {}, sample);
    await subscriber.synced();
    fixture.say('dut', { set: [{ path: other, value: uint(2) }] });
    await subscriber.until('the changed one', () => told(subscriber).length === 4);
    expect(told(subscriber).slice(3)).toEqual([`${other}=2`]);
    await subscriber.until('the heartbeat', () => told(subscriber).length === 6);
    expect(told(subscriber).slice(4)).toEqual([`${octets}=1`, `${other}=2`]);
  });

  test('ON_CHANGE with a heartbeat sends every leaf of every path once more (M4)', async () => {
    const request = streamOf([octets, up], dut(), { mode: 'ON_CHANGE', heartbeatInterval: ms(300) });
    const subscriber = fixture.connect().subscribe(request);
    await subscriber.until('two heartbeats', () => told(subscriber).length >= 7);
    expect(told(subscriber).slice(0, 7)).toEqual([
      `${octets}=1`,
      `${up}=UP`,
      'sync',
      `${octets}=1`,
      `${up}=UP`,
      `${octets}=1`,
      `${up}=UP`,
    ]);
  });

  test('a leaf of several subscriptions comes once in the first set and once per change (S14)', async () => {
    const subscriber = start(['/if', octets, '/if/i/state']);
    await subscriber.synced();
    fixture.say('dut', { set: [{ path: octets, value: uint(2) }] });
    fixture.say('dut', { set: [{ path: up, value: string('DOWN') }] });
    await subscriber.until('the last', () => told(subscriber).includes(`${up}=DOWN`));
    expect(told(subscriber)).toEqual([`${octets}=1`, `${up}=UP`, 'sync', `${octets}=2`, `${up}=DOWN`]);
  });

  test('a path that does not exist yet is served when it appears, never NOT_FOUND (S7)', async () => {
    const later = start(['/later']);
    await later.synced();
    fixture.say('dut', { set: [{ path: '/later/leaf', value: uint(1) }] });
    await later.until('the leaf', () => told(later).includes('/later/leaf=1'));
    const once = start(['/never'], { mode: 'ONCE' });
    expect(await once.ended()).toMatchObject({ code: status.OK });
    expect(told(once)).toEqual(['sync']);
  });

  test.each([
    [1, [`/if/leaf=1`, 'sync']],
    [0, [`${octets}=1`, `${up}=UP`, '/if/leaf=1', 'sync']],
    [3, [`${octets}=1`, `${up}=UP`, '/if/leaf=1', 'sync']],
    [2, ['/if/leaf=1', 'sync']],
  ])('depth %d ends that many levels below the path (extension 5)', async (level, lines) => {
    fixture.say('dut', { set: [{ path: '/if/leaf', value: uint(1) }] });
    const request = { ...streamOf(['/if'], dut({ mode: 'ONCE' })), extension: [{ depth: { level } }] };
    const subscriber = fixture.connect().subscribe(request);
    await subscriber.ended();
    expect(told(subscriber)).toEqual(lines);
  });

  test('unknown extensions change nothing', async () => {
    const request = streamOf(['/if'], dut({ mode: 'ONCE' }));
    const unknown = { registeredExt: { id: 999, msg: Buffer.from('x') } };
    const accepted = fixture.connect().subscribe({ ...request, extension: [unknown] });
    expect(await accepted.ended()).toMatchObject({ code: status.OK });
  });

  test.each([
    ['ONCE', { snapshotTime: 1n }, status.UNIMPLEMENTED],
    ['STREAM', { range: { start: 1n, end: 2n } }, status.UNIMPLEMENTED],
    ['STREAM', { snapshotTime: 1n }, status.INVALID_ARGUMENT],
    ['POLL', { snapshotTime: 1n }, status.INVALID_ARGUMENT],
    ['ONCE', { range: { start: 1n, end: 2n } }, status.INVALID_ARGUMENT],
    ['STREAM', { range: { start: 2n, end: 1n } }, status.INVALID_ARGUMENT],
  ] as const)(
    'history with %s: what no server may take is INVALID_ARGUMENT (extension 3)',
    async (mode, history, code) => {
      const request = { ...streamOf(['/if'], dut({ mode })), extension: [{ history }] };
      expect(await fixture.connect().subscribe(request).ended()).toMatchObject({ code });
    },
  );
});

describe('refusals', () => {
  test.each([
    ['a poll first (S1)', { poll: {} }, status.INVALID_ARGUMENT],
    ['nothing first (S1)', {}, status.INVALID_ARGUMENT],
    ['no target (S15)', streamOf(['/']), status.INVALID_ARGUMENT],
    ['an unknown device (S15)', streamOf(['/'], { prefix: { target: 'x', origin: '', elems: [] } }), status.NOT_FOUND],
    ['an encoding not offered (E5)', streamOf(['/'], dut({ encoding: 'ASCII' })), status.UNIMPLEMENTED],
    ['an empty list (S3)', streamOf([], dut()), status.INVALID_ARGUMENT],
    [
      '10,000 subscriptions',
      streamOf(
        Array.from({ length: 10_000 }, () => '/a'),
        dut(),
      ),
      status.RESOURCE_EXHAUSTED,
    ],
    ['a path of 10,000 elements', streamOf(['/a'.repeat(10_000)], dut()), status.INVALID_ARGUMENT],
  ])('%s', async (_, request, code) => {
    fixture.addDevice('dut');
    const end = await fixture.connect().subscribe(request).ended();
    expect(end).toMatchObject({ code });
    expect(end.details).not.toBe('');
  });

  test('a second list ends the RPC and no other (S2); bytes that are no message too', async () => {
    fixture.addDevice('dut', [{ path: octets, value: uint(1) }]);
    const client = fixture.connect();
    const other = client.subscribe(streamOf(['/if'], dut()));
    const twice = client.subscribe(streamOf(['/if'], dut()));
    await Promise.all([other.synced(), twice.synced()]);
    twice.send(streamOf(['/'], dut()));
    expect(await twice.ended()).toMatchObject({ code: status.INVALID_ARGUMENT });
    const garbage = client.subscribe();
    garbage.call.write(Buffer.from([0x0a, 0x7f, 1]));
    expect(await garbage.ended()).toMatchObject({ code: status.INVALID_ARGUMENT });
    fixture.say('dut', { set: [{ path: octets, value: uint(2) }] });
    await other.until('the change', () => told(other).includes(`${octets}=2`));
  });

  test('streams beyond the limit of one client are refused, and are welcome when others have gone', async () => {
    await restart({ settings: { gnmiMaxStreamsPerClient: 2 } });
    fixture.addDevice('dut', [{ path: octets, value: uint(1) }]);
    const [first, second] = [start(['/if']), start(['/if'])];
    await Promise.all([first.synced(), second.synced()]);
    expect(await start(['/if']).ended()).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
    first.cancel();
    await first.ended();
    for (;;) {
      const next = start(['/if']);
      await next.until('sync or end', () => next.syncs > 0 || next.end !== null);
      if (next.syncs > 0) break;
    }
  });

  test('an instance that has not read a slot says so instead of leaving out leaves', async () => {
    await restart({ loaded: false });
    fixture.addDevice('dut');
    const end = await start(['/if'], { mode: 'ONCE' }).ended();
    expect(end).toMatchObject({ code: status.UNAVAILABLE });
    expect(end.details).toContain('slot');
  });
});

describe('targets and origins', () => {
  test('the target is echoed, for * each device’s own name; not asked for, not sent (N4)', async () => {
    fixture.addDevice('a', [{ path: octets, value: uint(1) }]);
    fixture.addDevice('b', [{ path: octets, value: uint(1) }]);
    const all = fixture
      .connect()
      .subscribe(streamOf(['/if'], { mode: 'ONCE', prefix: { target: '*', origin: '', elems: [] } }));
    await all.ended();
    const targets = all.responses.flatMap(({ update }) => update?.prefix?.target ?? []);
    expect(targets.sort()).toEqual(['a', 'b']);
  });

  test('an origin stands where the request has it; one of several is told in the path (N4, N7)', async () => {
    fixture.addDevice('dut', [
      { path: '/a', value: uint(1) },
      { path: 'other:/a', value: uint(2) },
    ]);
    const origins = async (paths: readonly string[], prefix = ''): Promise<string[]> => {
      const list = dut({ mode: 'ONCE', prefix: { target: 'dut', origin: prefix, elems: [] } });
      const subscriber = fixture.connect().subscribe(streamOf(paths, list));
      await subscriber.ended();
      return subscriber.responses.flatMap(({ update }) =>
        (update?.update ?? []).map((one) => `${update?.prefix?.origin ?? ''}|${one.path?.origin ?? ''}`),
      );
    };
    expect(await origins(['/a'])).toEqual(['|']);
    expect(await origins(['openconfig:/a'])).toEqual(['|openconfig']);
    expect(await origins(['/a'], 'openconfig')).toEqual(['openconfig|']);
    expect(await origins(['/a'], 'other')).toEqual(['other|']);
    expect((await origins(['openconfig:/a', 'other:/a'])).sort()).toEqual(['|openconfig', '|other']);
  });

  test('a device added later joins streams for *, a removed one is deleted whole; its own streams end (D12)', async () => {
    fixture.addDevice('dut', [{ path: octets, value: uint(1) }]);
    const all = fixture.connect().subscribe(streamOf(['/if'], { prefix: { target: '*', origin: '', elems: [] } }));
    const own = start(['/if']);
    await Promise.all([all.synced(), own.synced()]);
    fixture.say('late', { set: [{ path: octets, value: uint(7) }] }); // before anybody knows the device
    fixture.addDevice('late');
    await all.until('the new device', () => told(all).includes(`${octets}=7`));
    fixture.removeDevice('dut');
    expect(await own.ended()).toMatchObject({ code: status.NOT_FOUND });
    expect(told(own).at(-1)).toBe('-/*');
    await all.until('the delete', () => told(all).includes('-/*'));
    expect(all.responses.at(-1)?.update?.prefix?.target).toBe('dut');
    expect(all.syncs).toBe(1);
    expect(all.end).toBeNull();
  });

  test('a slot that is read anew ends its streams: what is gone meanwhile would never be told', async () => {
    fixture.addDevice('dut', [{ path: octets, value: uint(1) }]);
    const subscriber = start(['/if']);
    await subscriber.synced();
    for (let slot = 0; slot < 4; slot += 1) fixture.state.reset(slot);
    expect(await subscriber.ended()).toMatchObject({ code: status.UNAVAILABLE });
  });
});

describe('a slot that is forgotten in mid-walk (G4 of gnmi-stream.ts)', () => {
  const everyDevice: List = { prefix: { target: '*', origin: '', elems: [] } };
  const subscribe = (mode: 'ONCE' | 'POLL'): Subscriber =>
    fixture.connect().subscribe(streamOf(['/if'], { ...everyDevice, mode }));
  const clock = pushedClock();
  beforeEach(async () => {
    await restart({ clock });
    for (let n = 0; n < 64; n += 1) fixture.addDevice(`d${n}`, [{ path: octets, value: uint(n) }]);
  });
  /** The first look into the store from now on uses up the turn, and `meanwhile` comes before the next. */
  const inMidWalk = (meanwhile: () => void): void => {
    const { store } = fixture.state;
    const select = store.select.bind(store);
    store.select = (patterns) => {
      store.select = select;
      setImmediate(meanwhile);
      clock.push(10);
      return select(patterns);
    };
  };
  const syncs = (subscriber: Subscriber): number => told(subscriber).filter((line) => line === 'sync').length;

  test('ends a ONCE with UNAVAILABLE and without a sync; the control ends with OK', async () => {
    inMidWalk(() => undefined);
    const whole = subscribe('ONCE');
    expect(await whole.ended()).toMatchObject({ code: status.OK });
    expect(told(whole)).toHaveLength(65);
    inMidWalk(() => fixture.state.reset(0));
    const half = subscribe('ONCE');
    expect(await half.ended()).toMatchObject({ code: status.UNAVAILABLE });
    expect(syncs(half)).toBe(0);
  });

  test('ends a POLL in the walk of a poll, also when the slot has been read anew by then', async () => {
    const subscriber = subscribe('POLL');
    await subscriber.synced(1);
    inMidWalk(() => {
      fixture.state.reset(0);
      fixture.state.load();
    });
    subscriber.send({ poll: {} });
    expect(await subscriber.ended()).toMatchObject({ code: status.UNAVAILABLE });
    expect(syncs(subscriber)).toBe(1);
  });

  test('ends a POLL also between a poll and its walk', async () => {
    const subscriber = subscribe('POLL');
    await subscriber.synced(1);
    const { state } = fixture;
    const freshness = state.freshness.bind(state);
    state.freshness = (slot) => {
      state.freshness = freshness;
      setImmediate(() => state.reset(0)); // the poll is looked at in this turn, its walk begins in the next
      return freshness(slot);
    };
    subscriber.send({ poll: {} });
    expect(await subscriber.ended()).toMatchObject({ code: status.UNAVAILABLE });
    expect(syncs(subscriber)).toBe(1);
  });
});

test('a stream of all devices ends when one is added whose slot others hold: it would lack it for ever (G4)', async () => {
  fixture.addDevice('dut', [{ path: '/e', value: uint(1) }]);
  const prefix = { target: '*', origin: '', elems: [] };
  const subscriber = fixture.connect().subscribe(streamOf(['/e'], { prefix }));
  await subscriber.synced();
  fixture.state.freshness = () => ({ kind: 'absent' });
  fixture.addDevice('another');
  expect(await subscriber.ended()).toMatchObject({ code: status.UNAVAILABLE });
});
