/**
 * What is told of atomic groups (A2 to A10). The reader that takes every rule at its word is the replicator, with its own
 * tests: whatever it is told must leave it with what is stored.
 */
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import fc from '../support/properties.ts';
import { applyNotification } from '../../replicator/apply.ts';
import { explode, plainFacts } from '../../replicator/explode.ts';
import { type DeviceState, SlotTable } from '../../replicator/slot-table.ts';
import { createTally } from '../../replicator/tally.ts';
import { type SubscribeResponse } from '../../schemas/gnmi.ts';
import { decodeDeviceMessage } from '../../schemas/notification.ts';
import { formatPath } from '../../schemas/path.ts';
import { decodeTypedValue, type TypedValue } from '../../schemas/value.ts';
import { message, type Said } from '../replicator/telemetry-log.ts';
import { type GnmiFixture, startGnmi, uint } from './gnmi-fixture.ts';
import { openPaused } from './gnmi-paused.ts';
import { told } from './gnmi-told.ts';

let fixture: GnmiFixture;
beforeAll(async () => {
  fixture = await startGnmi();
});
afterAll(() => fixture.stop());

const opened: { close(): void }[] = [];
afterEach(() => {
  for (const one of opened.splice(0)) one.close();
});

let devices = 0;
const newDevice = (leaves: Parameters<GnmiFixture['addDevice']>[1] = []): string => {
  devices += 1;
  fixture.addDevice(`d${devices}`, leaves);
  return `d${devices}`;
};
/** A leaf of the atomic group at `root`. */
const leafOf = (root: string, name: string, value: number, timestampNs: bigint) => ({
  path: `${root}/${name}`,
  value: uint(value),
  timestampNs,
  atomicRoot: root,
});
const member = (name: string, value: number, timestampNs: bigint) => leafOf('/r', name, value, timestampNs);

/** One line a message: `atomic /r @4: -/r/c /r/a=1`. */
const lines = (responses: readonly SubscribeResponse[]): string[] =>
  responses.flatMap((response) => {
    const what = told({ responses: [response] }).join(' ');
    if (what === '' || response.update?.atomic !== true) return what === '' ? [] : [what];
    const { prefix, timestamp } = response.update;
    return [`atomic ${formatPath({ origin: '', target: '', elems: prefix?.elems ?? [] })} @${timestamp}: ${what}`];
  });

describe('a group is told as it is stored, in one message (A10)', () => {
  const open = (device: string, paths: readonly string[] = ['/'], more: object = {}) => {
    const paused = openPaused(fixture, paths, device, {}, { mode: 'ON_CHANGE', ...more });
    opened.push(paused);
    return () => lines(paused.tell());
  };

  test('what another RPC brought is in it, with the latest time of all (A9)', () => {
    const device = newDevice([member('a', 1, 3n), member('b', 1, 5n)]);
    const tell = open(device);
    expect(tell()).toEqual(['atomic /r @5: /r/a=1 /r/b=1', 'sync']);
    fixture.say(device, { set: [member('a', 2, 4n)] });
    expect(tell()).toEqual(['atomic /r @5: /r/a=2 /r/b=1']);
    fixture.say(device, { set: [member('b', 2, 6n)] });
    expect(tell()).toEqual(['atomic /r @6: /r/a=2 /r/b=2']);
  });

  test('a message of equal time says again what stayed the same: that is no change, and is in it (N14)', () => {
    const device = newDevice([member('a', 1, 3n), member('b', 1, 3n), member('c', 1, 3n)]);
    const tell = open(device);
    tell();
    fixture.say(device, { set: [member('a', 2, 3n)] });
    expect(tell()).toEqual(['atomic /r @3: /r/a=2 /r/b=1 /r/c=1']);
    fixture.say(device, { gone: ['/r/c'] });
    expect(tell()).toEqual(['atomic /r @3: -/r/c /r/a=2 /r/b=1']);
  });

  test('a delete of one leaf alone comes with what is left, no older than it was told before (A5, A9)', () => {
    const device = newDevice([member('a', 1, 7n), member('b', 1, 5n)]);
    const tell = open(device);
    tell();
    fixture.say(device, { gone: ['/r/a'] });
    expect(tell()).toEqual(['atomic /r @7: -/r/a /r/b=1']);
  });

  test('a leaf is gone behind the time that its group was told with, and so is its device (A9, D6, G5)', () => {
    const device = newDevice([member('a', 1, 100n), member('b', 1, 200n)]);
    const paused = openPaused(fixture, ['/r'], device, {}, { mode: 'ON_CHANGE' });
    opened.push(paused);
    expect(lines(paused.tell())).toEqual(['atomic /r @200: /r/a=1 /r/b=1', 'sync']);
    fixture.say(device, { set: [{ path: '/r/b', value: uint(2), timestampNs: 250n }] });
    fixture.say(device, { gone: ['/r/a'] });
    const responses = paused.tell();
    expect(lines(responses)).toEqual(['/r/b=2', '-/r/a']);
    expect(responses.map(({ update }) => update?.timestamp)).toEqual([250n, 201n]);
    paused.stream.onDeviceRemoved(device);
    expect(paused.tell().map(({ update }) => update?.timestamp)).toEqual([251n]);
  });

  test('a leaf that is only sampled and has ended the group is told before a delete is (A3, A5)', () => {
    const device = newDevice([member('a', 1, 3n), member('b', 1, 3n), member('s', 1, 3n)]);
    const elem = (name: string) => ({ name, keys: new Map<string, string>() });
    const at = (name: string) => ({ origin: '', target: '', elems: [elem('r'), elem(name)] });
    const subscription = [
      { path: at('a'), mode: 'ON_CHANGE' },
      { path: at('b'), mode: 'ON_CHANGE' },
      { path: at('s'), mode: 'SAMPLE', sampleInterval: 3_600_000_000_000n },
    ];
    const paused = openPaused(fixture, [], device, { subscription });
    opened.push(paused);
    expect(lines(paused.tell())).toEqual(['atomic /r @3: /r/a=1 /r/b=1 /r/s=1', 'sync']);
    fixture.say(device, { set: [{ path: '/r/s', value: uint(2), timestampNs: 4n }] });
    fixture.say(device, { gone: ['/r/a'] });
    expect(lines(paused.tell())).toEqual(['/r/s=2', '-/r/a']);
  });

  test('several messages that wait are one, with every delete that waits', () => {
    const device = newDevice([member('a', 1, 3n), member('b', 1, 3n), member('c', 1, 3n)]);
    const tell = open(device);
    tell();
    fixture.say(device, { set: [member('a', 2, 4n), member('b', 2, 4n)], gone: ['/r/c'] });
    fixture.say(device, { set: [member('a', 3, 5n)], gone: ['/r/b'] });
    fixture.say(device, { set: [member('a', 4, 6n), member('b', 4, 6n)] });
    expect(tell()).toEqual(['atomic /r @6: -/r/b -/r/c /r/a=4 /r/b=4']);
  });

  test('a subscription of a part has the part, whole: also what only another path of it samples (A9)', () => {
    const device = newDevice([member('a', 1, 3n), member('b', 1, 3n), member('c', 1, 3n)]);
    const elem = (name: string) => ({ name, keys: new Map<string, string>() });
    const at = (name: string) => ({ origin: '', target: '', elems: [elem('r'), elem(name)] });
    const subscription = [
      { path: at('a'), mode: 'ON_CHANGE' },
      { path: at('c'), mode: 'SAMPLE', sampleInterval: 3_600_000_000_000n },
    ];
    const paused = openPaused(fixture, [], device, { subscription });
    opened.push(paused);
    expect(lines(paused.tell())).toEqual(['atomic /r @3: /r/a=1 /r/c=1', 'sync']);
    fixture.say(device, { set: [member('a', 2, 4n), member('b', 2, 4n), member('c', 2, 4n)] });
    expect(lines(paused.tell())).toEqual(['atomic /r @4: /r/a=2 /r/c=2']);
    fixture.say(device, { set: [member('b', 3, 5n)] });
    expect(lines(paused.tell())).toEqual([]);
  });

  test('what the message changed elsewhere is told under its own path', () => {
    const device = newDevice([
      member('a', 1, 3n),
      { path: '/r-s/x', value: uint(1) },
      { path: 'o:/r/y', value: uint(1) },
    ]);
    const tell = open(device, ['/', 'o:/']);
    tell();
    fixture.say(device, { set: [member('a', 2, 4n)], gone: ['/r-s/x', 'o:/r/y'] });
    expect(tell()).toEqual(['-/r-s/x -/r/y', 'atomic /r @4: /r/a=2']);
  });

  test('a plain leaf that the message took away goes with it (A2, A12)', () => {
    const device = newDevice([{ path: '/r/p', value: uint(1), timestampNs: 3n }]);
    const tell = open(device);
    tell();
    fixture.say(device, { set: [member('a', 2, 4n)], gone: ['/r/p'] });
    expect(tell()).toEqual(['atomic /r @4: -/r/p /r/a=2']);
  });

  test('the group is gone with its last leaf: plain deletes', () => {
    const device = newDevice([member('a', 1, 3n), member('b', 1, 3n)]);
    const tell = open(device);
    tell();
    fixture.say(device, { gone: ['/r/a', '/r/b'] });
    expect(tell()).toEqual(['-/r/a -/r/b']);
  });

  test('a plain leaf below the root ends the guarantee, in a walk and on change, until it is gone (A3)', () => {
    const device = newDevice([member('b', 1, 3n)]);
    const tell = open(device);
    expect(tell()).toEqual(['atomic /r @3: /r/b=1', 'sync']);
    fixture.say(device, { set: [{ path: '/r/a', value: uint(9), timestampNs: 5n }] });
    fixture.say(device, { set: [member('b', 2, 4n)] });
    expect(tell()).toEqual(['/r/a=9', '/r/b=2']);
    const later = open(device);
    expect(later()).toEqual(['/r/a=9', '/r/b=2', 'sync']);
    fixture.say(device, { set: [member('b', 3, 6n)], gone: ['/r/a'] });
    for (const one of [later, tell]) expect(one()).toEqual(['atomic /r @6: -/r/a /r/b=3']);
  });

  test('many changes of a large group that has ended: what ended it is looked at, not all of it each time', () => {
    const names = Array.from({ length: 2_000 }, (_, index) => `a${index}`);
    const plain = { path: '/r/z', value: uint(9), timestampNs: 5n };
    const device = newDevice([...names.map((name) => member(name, 1, 3n)), plain]);
    const tell = open(device);
    tell();
    fixture.say(device, { set: names.map((name) => member(name, 2, 4n)) });
    const lookedUp = jest.spyOn(fixture.context.state.store, 'select');
    const said = tell().join(' ').split(' ');
    expect(lookedUp.mock.calls.length).toBeLessThan(names.length + 10); // a page each, and once the whole group
    lookedUp.mockRestore();
    expect(said.sort()).toEqual(names.map((name) => `/r/${name}=2`).sort());
    fixture.say(device, { gone: ['/r/z'], set: [member('a1', 3, 6n)] });
    expect(tell()[0]).toMatch(/^atomic \/r @6: /);
  });

  test('a group further down ends the guarantee above, and has its own (A6)', () => {
    const device = newDevice([member('b', 1, 3n), leafOf('/r/x', 'c', 1, 4n), leafOf('/r/x', 'd', 1, 4n)]);
    const tell = open(device);
    expect(tell()).toEqual(['/r/b=1', 'atomic /r/x @4: /r/x/c=1 /r/x/d=1', 'sync']);
    fixture.say(device, { set: [leafOf('/r/x', 'c', 2, 5n)] });
    fixture.say(device, { set: [member('b', 2, 5n)] });
    expect(tell()).toEqual(['atomic /r/x @5: /r/x/c=2 /r/x/d=1', '/r/b=2']);
  });
});

/** A device as the replicator's rules leave it. */
class Rules {
  readonly #device: DeviceState;
  #ordinal = 0n;

  constructor(device: string) {
    this.#device = new SlotTable({ windowNs: 60_000_000_000n, entriesMax: 1_000 }).device(device);
  }

  /** Applies a SubscribeResponse; returns the leaves that it changed, value null: gone. */
  apply(bytes: Buffer, receivedAtNs: bigint, rpc: number) {
    const decoded = decodeDeviceMessage(bytes);
    if (decoded.kind !== 'update') return [];
    this.#ordinal += 1n;
    const [seq, ordinal] = [this.#ordinal, Number(this.#ordinal)];
    const at = { kind: 'data', rpc, epoch: 1n, seq, receivedAtNs, offset: seq, ordinal } as const;
    const context = { facts: plainFacts, tally: createTally(), futureLimitNs: null };
    return applyNotification(this.#device, explode(decoded.notification, plainFacts, context.tally), at, context);
  }

  leaves(isCovered: (path: string) => boolean): Record<string, string> {
    const covered = this.#device.leaves.all().filter(({ path }) => isCovered(path) && !path.startsWith('/meta'));
    const entries = covered.map(({ path, value }): [string, string] => [path, value?.toString('hex') ?? '']);
    return Object.fromEntries(entries.sort());
  }
}

const names = ['a', 'b', 'x/c', 'x/d'];
const values = fc.array(fc.tuple(fc.constantFrom(...names), fc.nat(3)), { maxLength: 4 });
const said = fc.oneof(
  fc.record({ kind: fc.constant('atomic'), root: fc.constantFrom('/r', '/r/x'), values }),
  fc.record({ kind: fc.constant('plain'), root: fc.constant('/r'), values }),
  fc.record({
    kind: fc.constant('delete'),
    root: fc.constantFrom('/r', '/r/a', '/r/x', '/r/x/c'),
    values: fc.constant([]),
  }),
);
const step = fc.record({
  said,
  rpc: fc.constantFrom(1, 2),
  sameTime: fc.boolean(),
  tell: fc.constantFrom(0, 1, 2, 100),
});

test.each([[['/r']], [['/r/a', '/r/x']], [['/r/b', '/r/x/c']]])(
  'however a device speaks and however far behind it is, a reader of %j that takes all at its word has what is stored (A2–A10, N14)',
  (paths) => {
    const isCovered = (path: string): boolean => paths.some((one) => path === one || path.startsWith(`${one}/`));
    const offsets = fc.constantFrom(-3_600_000_000_000n, 0n, 3_600_000_000_000n); // of the device's clock
    const run = fc.property(offsets, fc.array(step, { minLength: 1, maxLength: 12 }), (offsetNs, steps) => {
      const device = newDevice();
      const [stored, reader] = [new Rules(device), new Rules(device)];
      const paused = openPaused(fixture, paths, device);
      opened.push(paused);
      const tell = (count: number): void => {
        for (const bytes of paused.tellSome(count)) reader.apply(bytes, fixture.clock.nowNs(), 0);
      };
      let timeNs = 0n;
      let mayRepeat = false;
      for (const { said: one, rpc, sameTime, tell: count } of steps) {
        const isAtomic = one.kind === 'atomic';
        if (!(sameTime && mayRepeat && isAtomic)) timeNs = fixture.clock.nowNs() + offsetNs;
        const root = isAtomic ? one.root : '';
        const updates = one.values
          .map(([name, value]) => [`/r/${name}`, value] as const)
          .filter(([path]) => path.startsWith(`${root}/`))
          .map(([path, value]) => [path.slice(root.length), value] as const);
        const message_: Said = { at: timeNs, prefix: root, updates, atomic: isAtomic };
        const bytes = message(one.kind === 'delete' ? { at: timeNs, deletes: [one.root] } : message_);
        const changed = stored.apply(bytes, fixture.clock.nowNs(), rpc);
        const set = changed.flatMap(({ path, value, timestampNs, atomicRoot }) =>
          value === null ? [] : [{ path, value: decodeTypedValue(value) as TypedValue, timestampNs, atomicRoot }],
        );
        const gone = changed.flatMap(({ path, value }) => (value === null ? [path] : []));
        // A delete is told with the time of its receipt: what has the same time as one of these is late (D7).
        mayRepeat = isAtomic && one.root === '/r' && gone.length === 0;
        if (changed.length > 0) fixture.say(device, { set, gone });
        if (count > 0) tell(count);
      }
      tell(Infinity);
      expect(reader.leaves(isCovered)).toEqual(stored.leaves(isCovered));
      const late = openPaused(fixture, paths, device);
      opened.push(late);
      const lateReader = new Rules(device);
      for (const bytes of late.tellSome()) lateReader.apply(bytes, fixture.clock.nowNs(), 0);
      expect(lateReader.leaves(isCovered)).toEqual(stored.leaves(isCovered));
      for (const stream of opened.splice(0)) stream.close();
    });
    fc.assert(run, { numRuns: 300 });
  },
);
