import fc from '../support/properties.ts';
import { applyNotification, type RecordPoint } from '../../replicator/apply.ts';
import { type DeviceFacts, explode, plainFacts } from '../../replicator/explode.ts';
import { type DeviceState, SlotTable } from '../../replicator/slot-table.ts';
import { createTally, type Tally } from '../../replicator/tally.ts';
import { emptyMarker } from '../../schemas/marker.ts';
import { decodeDeviceMessage } from '../../schemas/notification.ts';
import { decodeTypedValue } from '../../schemas/value.ts';
import { message, type Said, subscriptions } from './telemetry-log.ts';

interface World {
  readonly device: DeviceState;
  readonly tally: Tally;
  say(said: Said, options?: { receivedAtNs?: bigint; rpc?: number }): string[];
  state(): Record<string, string>;
}

function world(options: { facts?: Partial<DeviceFacts>; futureLimitNs?: bigint; entriesMax?: number } = {}): World {
  const facts = { ...plainFacts, ...options.facts };
  const table = new SlotTable({ windowNs: 1_000n, entriesMax: options.entriesMax ?? 100 });
  const device = table.device('leaf-1');
  const tally = createTally();
  let ordinal = 0;
  const describe = (value: Buffer | null) => {
    const typed = value === null ? null : decodeTypedValue(value);
    return typed?.kind === 'uint' ? String(typed.value) : 'deleted';
  };
  return {
    device,
    tally,
    say(said, { receivedAtNs = 1_000n, rpc = 0 } = {}) {
      const decoded = decodeDeviceMessage(message(said));
      if (decoded.kind !== 'update') throw new Error('not an update');
      ordinal += 1;
      const seq = BigInt(ordinal);
      const at: RecordPoint = { kind: 'data', rpc, epoch: 1n, seq, receivedAtNs, offset: seq, ordinal };
      const context = { facts, tally, futureLimitNs: options.futureLimitNs ?? null };
      const changed = applyNotification(device, explode(decoded.notification, facts, tally), at, context);
      return changed.map((entry) => `${entry.path} ${describe(entry.value)}`).sort();
    },
    state() {
      const entries = device.leaves.all().map((entry) => [entry.path, `${describe(entry.value)}@${entry.timestampNs}`]);
      return Object.fromEntries(entries.sort()) as Record<string, string>;
    },
  };
}

/** Messages in order, then the leaves as `value@time`. */
const cases: [string, Said[], Record<string, string>][] = [
  ['D6 newer is stored, older is not', [{ at: 2, updates: [['/a', 2]] }, { at: 1, updates: [['/a', 1]] }], { '/a': '2@2' }],
  ['N14 equal time, other value: the last in the log', [{ at: 1, updates: [['/a', 1]] }, { at: 1, updates: [['/a', 2]] }], { '/a': '2@1' }],
  ['N12 the same path twice: the last', [{ at: 1, updates: [['/a', 1], ['/a', 2]] }], { '/a': '2@1' }],
  ['N13 negative times are times', [{ at: -5, updates: [['/a', 1]] }, { at: -6, updates: [['/a', 2]] }], { '/a': '1@-5' }],
  ['D1 everything beneath goes', [{ at: 1, updates: [['/a/b', 1], ['/a/c/d', 1], ['/ab', 1]] }, { at: 2, deletes: ['/a'] }], { '/ab': '1@1' }],
  ['D2 deletes are joined with the prefix', [{ at: 1, updates: [['/a/b', 1], ['/b', 1]] }, { at: 2, prefix: '/a', deletes: ['/b'] }], { '/b': '1@1' }],
  ['D6 a lone delete leaves what is as old', [{ at: 2, updates: [['/a/b', 1]] }, { at: 2, deletes: ['/a'] }], { '/a/b': '1@2' }],
  ['D6 a late delete leaves what is newer', [{ at: 3, updates: [['/a/b', 1]] }, { at: 2, deletes: ['/a'] }], { '/a/b': '1@3' }],
  ['D4 delete and update of one subtree is a replace', [{ at: 1, updates: [['/a/b', 1], ['/a/c', 1]] }, { at: 2, deletes: ['/a'], updates: [['/a/b', 2]] }], { '/a/b': '2@2' }],
  ['D4 a replace removes what is as old', [{ at: 2, updates: [['/a/b', 1], ['/a/c', 1]] }, { at: 2, deletes: ['/a'], updates: [['/a/b', 2]] }], { '/a/b': '2@2' }],
  ['D4 a delete beside the updates is a lone one', [{ at: 2, updates: [['/a/c', 1]] }, { at: 2, deletes: ['/a'], updates: [['/b', 2]] }], { '/a/c': '1@2', '/b': '2@2' }],
  ['D4 a late replace leaves what is newer', [{ at: 3, updates: [['/a/c', 1]] }, { at: 2, deletes: ['/a'], updates: [['/a/b', 2]] }], { '/a/b': '2@2', '/a/c': '1@3' }],
  ['D7 a late update stays away', [{ at: 5, deletes: ['/a'] }, { at: 4, updates: [['/a/b', 1]] }], {}],
  ['D7 an update as old as the delete is accepted', [{ at: 5, deletes: ['/a'] }, { at: 5, updates: [['/a/b', 1]] }], { '/a/b': '1@5' }],
  ['D7 also after a replace', [{ at: 5, deletes: ['/a'], updates: [['/a/c', 1]] }, { at: 4, updates: [['/a/b', 1]] }], { '/a/c': '1@5' }],
  ['D8 a delete of nothing is ignored', [{ at: 1, updates: [['/a', 1]] }, { at: 2, deletes: [''], updates: [['/b', 1]] }], { '/a': '1@1', '/b': '1@2' }],
  ['D9 omitted keys', [{ at: 1, updates: [['/i[k=1]/v', 1], ['/i[k=2]/v', 1], ['/j', 1]] }, { at: 2, deletes: ['/i'] }], { '/j': '1@1' }],
  ['D9 wildcard key', [{ at: 1, updates: [['/i[k=1]/v', 1], ['/i[k=2]/w', 1]] }, { at: 2, deletes: ['/i[k=*]/v'] }], { '/i[k=2]/w': '1@1' }],
  ['D9 wildcard element', [{ at: 1, updates: [['/a/b/v', 1], ['/a/c[k=1]/v', 1], ['/a/v', 1]] }, { at: 2, deletes: ['/a/*/v'] }], { '/a/v': '1@1' }],
  ['D9 P7 one key given, one omitted', [{ at: 1, updates: [['/i[k=1][l=1]/v', 1], ['/i[k=1][l=2]/v', 1], ['/i[k=2][l=1]/v', 1]] }, { at: 2, deletes: ['/i[k=1]'] }], { '/i[k=2][l=1]/v': '1@1' }],
  ['D9 D7 a late update stays away below a wildcard', [{ at: 5, deletes: ['/i[k=*]/v'] }, { at: 4, updates: [['/i[k=1]/v', 1], ['/i[k=1]/w', 1]] }], { '/i[k=1]/w': '1@4' }],
  ['N7 a delete of another origin, in its path or in the prefix', [{ at: 1, updates: [['/a', 1], ['x:/a', 1], ['y:/a', 1]] }, { at: 2, deletes: ['x:/a'] }, { at: 2, prefix: 'y:/', deletes: ['/a'] }], { '/a': '1@1' }],
  ['N13 time 0: an update is stored once, a lone delete of the same time removes nothing', [{ at: 0, updates: [['/a', 1], ['/b', 1]] }, { at: 0, updates: [['/a', 2]], deletes: ['/b'] }], { '/a': '2@0', '/b': '1@0' }],
  ['D9 any depth', [{ at: 1, updates: [['/a/b/v', 1], ['/a/v', 1], ['/a/b/w', 1]] }, { at: 2, deletes: ['/a/.../v'] }], { '/a/b/w': '1@1' }],
  ['A2 everything earlier below the prefix goes', [{ at: 1, updates: [['/a/b', 1], ['/a/c', 1], ['/d', 1]] }, { at: 2, prefix: '/a', updates: [['/b', 2]], atomic: true }], { '/a/b': '2@2', '/d': '1@1' }],
  ['A2 D4 what is as old goes too', [{ at: 2, updates: [['/a/c', 1]] }, { at: 2, prefix: '/a', updates: [['/b', 2]], atomic: true }], { '/a/b': '2@2' }],
  ['A3 a plain update below leaves the others', [{ at: 1, prefix: '/a', updates: [['/b', 1], ['/c', 1]], atomic: true }, { at: 2, updates: [['/a/b', 2]] }], { '/a/b': '2@2', '/a/c': '1@1' }],
  ['A4 deletes in an atomic message are plain ones', [{ at: 1, updates: [['/a/b', 1], ['/a/c', 1]] }, { at: 2, prefix: '/a', deletes: ['/b'], atomic: true }], { '/a/c': '1@1' }],
  ['A5 deleting one leaf of a group deletes the group', [{ at: 1, prefix: '/a', updates: [['/b', 1], ['/c', 1]], atomic: true }, { at: 2, deletes: ['/a/b'] }], {}],
  ['A5 not once the guarantee is void', [{ at: 1, prefix: '/a', updates: [['/b', 1], ['/c', 1]], atomic: true }, { at: 2, updates: [['/a/d', 1]] }, { at: 3, deletes: ['/a/b'] }], { '/a/c': '1@1', '/a/d': '1@2' }],
  ['A5 D4 deletes of one message are a set: one of a leaf in what is replaced deletes the group', [{ at: 1, prefix: '/a', updates: [['/d', 1], ['/b/x', 0]], atomic: true }, { at: 2, updates: [['/a/b', 1]], deletes: ['/a/b', '/a/b/x'] }], { '/a/b': '1@2' }],
  ['A5 D4 … in either order', [{ at: 1, prefix: '/a', updates: [['/d', 1], ['/b/x', 0]], atomic: true }, { at: 2, updates: [['/a/b', 1]], deletes: ['/a/b/x', '/a/b'] }], { '/a/b': '1@2' }],
  ['A6 on a parent it clears all below', [{ at: 1, prefix: '/a/x', updates: [['/b', 1]], atomic: true }, { at: 2, prefix: '/a', updates: [['/c', 1]], atomic: true }], { '/a/c': '1@2' }],
  ['A6 on a child it replaces the child', [{ at: 1, prefix: '/a', updates: [['/x/b', 1], ['/c', 1]], atomic: true }, { at: 2, prefix: '/a/x', updates: [['/d', 1]], atomic: true }], { '/a/c': '1@1', '/a/x/d': '1@2' }],
  ['A6 … and ends the guarantee of the parent: deleting one of its leaves is just that', [{ at: 1, prefix: '/a', updates: [['/x/b', 1], ['/c', 1], ['/e', 1]], atomic: true }, { at: 2, prefix: '/a/x', updates: [['/d', 1], ['/f', 1]], atomic: true }, { at: 3, deletes: ['/a/c'] }], { '/a/e': '1@1', '/a/x/d': '1@2', '/a/x/f': '1@2' }],
  ['A6 A5 … while the child has one of its own', [{ at: 1, prefix: '/a', updates: [['/c', 1]], atomic: true }, { at: 2, prefix: '/a/x', updates: [['/d', 1], ['/f', 1]], atomic: true }, { at: 3, deletes: ['/a/x/d'] }], { '/a/c': '1@1' }],
  ['A5 a delete older than the group leaves it', [{ at: 3, prefix: '/a', updates: [['/b', 1], ['/c', 1]], atomic: true }, { at: 2, deletes: ['/a/b'] }], { '/a/b': '1@3', '/a/c': '1@3' }],
  ['A4 D6 deletes beside updates in an atomic message add nothing to what it clears', [{ at: 1, updates: [['/a/b', 1], ['/d', 1]] }, { at: 2, prefix: '/a', updates: [['/c', 1]], deletes: ['/b'], atomic: true }], { '/a/c': '1@2', '/d': '1@1' }],
  ['A7 a late atomic message clears nothing newer', [{ at: 3, updates: [['/a/b', 1]] }, { at: 2, prefix: '/a', updates: [['/c', 1]], atomic: true }], { '/a/b': '1@3', '/a/c': '1@2' }],
  ['A7 a late plain update is discarded', [{ at: 3, prefix: '/a', updates: [['/c', 1]], atomic: true }, { at: 2, updates: [['/a/b', 1]] }], { '/a/c': '1@3' }],
  ['A8 an empty atomic message clears its prefix', [{ at: 1, updates: [['/a/b', 1], ['/d', 1]] }, { at: 2, prefix: '/a', atomic: true }], { '/d': '1@1' }],
]; // prettier-ignore

describe('apply', () => {
  test.each(cases)('%s', (_rule, messages, expected) => {
    const { say, state } = world();
    for (const said of messages) say(said);
    expect(state()).toEqual(expected);
  });

  test('equal time and value is a duplicate and writes nothing; a newer time is written (N14)', () => {
    const { say, tally } = world();
    expect(say({ at: 1, updates: [['/a', 1]] })).toEqual(['/a 1']);
    expect(say({ at: 1, updates: [['/a', 1]] })).toEqual([]);
    expect(say({ at: 2, updates: [['/a', 1]] })).toEqual(['/a 1']);
    expect(tally.discarded).toMatchObject({ duplicate: 1, stale: 0 });
  });

  test('a replace that says the same again writes nothing for what stayed', () => {
    const { say } = world();
    say({ at: 1, updates: [['/a/b', 1], ['/a/c', 1]] }); // prettier-ignore
    expect(say({ at: 1, deletes: ['/a'], updates: [['/a/b', 1]] })).toEqual(['/a/c deleted']);
  });

  test('a subtree delete is one tombstone per leaf (D11), by cause', () => {
    const { say, tally } = world();
    say({ at: 1, updates: [['/a/b', 1], ['/a/c', 1], ['/e/f', 1], ['/g/h', 1]] }); // prettier-ignore
    expect(say({ at: 2, deletes: ['/a'] })).toEqual(['/a/b deleted', '/a/c deleted']);
    say({ at: 2, deletes: ['/e'], updates: [['/e/g', 1]] });
    say({ at: 2, prefix: '/g', atomic: true });
    expect(tally.tombstones).toMatchObject({ delete: 2, replace: 1, atomic: 1 });
  });

  test('D8 a device that means it deletes everything of the origin', () => {
    const { say, state } = world({ facts: { honourRootDelete: true } });
    say({ at: 1, updates: [['/a', 1], ['cli:/a', 1]] }); // prettier-ignore
    say({ at: 2, deletes: [''] });
    expect(state()).toEqual({ '/a': '1@1' }); // of origin cli
  });

  test('N13 a device without a usable clock is ordered by receive time', () => {
    const { say, state } = world({ facts: { orderByReceiveTime: true } });
    say({ at: 50, updates: [['/a', 1], ['/b', 1]] }, { receivedAtNs: 1n }); // prettier-ignore
    say({ at: 0, updates: [['/a', 2]] }, { receivedAtNs: 2n });
    say({ at: 0, deletes: ['/b'] }, { receivedAtNs: 3n });
    expect(state()).toEqual({ '/a': '2@0' });
  });

  test('an update too far in the future is refused, but not the first nor one near the last accepted', () => {
    const { say, state, tally } = world({ futureLimitNs: 100n });
    say({ at: 1_050, updates: [['/a', 1]] }, { receivedAtNs: 1_000n });
    say({ at: 9_000, updates: [['/a', 2]], deletes: ['/b'] }, { receivedAtNs: 1_001n });
    say({ at: 1_140, updates: [['/a', 3]] }, { receivedAtNs: 1_002n });
    expect(state()).toEqual({ '/a': '3@1140' });
    expect(tally.discarded.future).toBe(1);
    const first = world({ futureLimitNs: 100n });
    first.say({ at: 9_000, updates: [['/a', 1]] }, { receivedAtNs: 1n });
    expect(first.state()).toEqual({ '/a': '1@9000' });
  });

  test('D7 the window ends by receive time, and its bound is counted', () => {
    const { say, state, tally } = world({ entriesMax: 1 });
    say({ at: 50, deletes: ['/a'] }, { receivedAtNs: 1_000n });
    say({ at: 40, updates: [['/a', 1]] }, { receivedAtNs: 2_000n });
    expect(state()).toEqual({});
    say({ at: 40, updates: [['/a', 1]] }, { receivedAtNs: 2_001n });
    expect(state()).toEqual({ '/a': '1@40' });
    say({ at: 50, deletes: ['/b'] });
    expect(tally.odd['delete-evicted']).toBe(1);
    expect(tally.discarded.stale).toBe(1);
  });

  test('A9 an atomic message of one RPC leaves what another brought, and holds back none of its late updates', () => {
    const { say, state } = world();
    say({ at: 1, prefix: '/a', updates: [['/b/v', 1]], atomic: true }, { rpc: 1 });
    say({ at: 2, prefix: '/a', updates: [['/c/v', 1]], atomic: true }, { rpc: 2 });
    say({ at: 5, prefix: '/a', updates: [['/c/w', 1]], atomic: true }, { rpc: 2 });
    say({ at: 4, updates: [['/a/b/w', 1]] }, { rpc: 1 });
    say({ at: 4, updates: [['/a/c/x', 1]] }, { rpc: 2 });
    expect(state()).toEqual({ '/a/b/v': '1@1', '/a/b/w': '1@4', '/a/c/w': '1@5' });
    say({ at: 6, prefix: '/a', atomic: true }); // a session with one RPC speaks for all of it
    expect(state()).toEqual({});
  });

  test('N14 A7 A9 … with atomic messages among them too, of one RPC or of two that share no leaf', () => {
    const paths = ['/a/b', '/a/x[k=1]/v', '/a/x[k=2]/v', '/d'];
    const arbitrarySaid = fc.record({
      paths: fc.uniqueArray(fc.constantFrom(...paths), { maxLength: 3 }),
      value: fc.nat(9),
      atomicAt: fc.option(fc.constantFrom('/a', '/a/x', '/a/x[k=1]')),
      rpc: fc.nat(1),
    });
    const arbitraryOrders = fc
      .tuple(fc.array(arbitrarySaid, { minLength: 2, maxLength: 7 }), fc.boolean())
      .map(([all, isSplit]) =>
        all.map(({ atomicAt, value, rpc, ...said }, index) => {
          const own = `/r${rpc}`;
          const updates = said.paths.map((text) => [`${text}${own}`, value] as const);
          const atomic =
            atomicAt === null ? null : { prefix: atomicAt, updates: [[own, value] as const], atomic: true };
          return { said: { at: index + 1, ...(atomic ?? { updates }) }, rpc: isSplit ? rpc + 1 : 0 };
        }),
      )
      .chain((all) => fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length })));
    fc.assert(
      fc.property(arbitraryOrders, ([inOrder, shuffled]) => {
        const [first, second] = [world(), world()];
        for (const { said, rpc } of inOrder) first.say(said, { rpc });
        for (const { said, rpc } of shuffled) second.say(said, { rpc });
        expect(second.state()).toEqual(first.state());
      }),
      { numRuns: 1_000 },
    );
  });

  test('leaves of SAMPLE subscriptions are marked so, unless another mode covers them too', () => {
    const { device, say } = world();
    const sampled = [...subscriptions(['/a'], 0, false, 'sample'), ...subscriptions(['/a/b'], 0)];
    device.session.opened({ ...emptyMarker('opened'), subscriptions: sampled }, { offset: 0n, ordinal: 0 });
    say({ at: 1, updates: [['/a/b', 1], ['/a/c', 1]] }); // prettier-ignore
    const marks = device.leaves.all().map((entry) => [entry.path, entry.sampled]);
    expect(marks).toEqual([['/a/b', false], ['/a/c', true]]); // prettier-ignore
  });

  test('N14 the state after any order of arrival is the same, if the times are distinct', () => {
    const paths = ['/a', '/a/b', '/a/x[k=1]/v', '/a/x[k=2]/v', '/d'];
    const arbitrarySaid = fc.record({
      updates: fc.uniqueArray(fc.tuple(fc.constantFrom(...paths), fc.integer({ min: 1, max: 9 })), {
        selector: ([text]) => text,
        maxLength: 3,
      }),
      deletes: fc.array(fc.constantFrom(...paths, '/a/x', '/a/.../v'), { maxLength: 2 }),
    });
    const arbitraryOrders = fc
      .array(arbitrarySaid, { minLength: 2, maxLength: 7 })
      .map((all) => all.map((said, index): Said => ({ ...said, at: index + 1 })))
      .chain((all) => fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length })));
    fc.assert(
      fc.property(arbitraryOrders, ([inOrder, shuffled]) => {
        const [first, second] = [world(), world()];
        for (const said of inOrder) first.say(said);
        for (const said of shuffled) second.say(said);
        expect(second.state()).toEqual(first.state());
      }),
      { numRuns: 1_000 },
    );
  });
});
