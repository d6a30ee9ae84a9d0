import { expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import { gnmi } from '../../schemas/gnmi.ts';
import { MessageMalformed, decodeDeviceMessage } from '../../schemas/notification.ts';
import { parsePath } from '../../schemas/path.ts';
import { encodeTypedValue } from '../../schemas/value.ts';
import { WireScanner } from '../../schemas/wire-scanner.ts';
import { anyPath, anyTypedValue, int64 } from './arbitrary.ts';

const scanner = new WireScanner();

interface Scanned {
  readonly kind: string;
  readonly updates: number;
  readonly deletes: number;
  readonly synced: boolean;
  readonly atomic: boolean;
  readonly timestampNs: bigint;
}

function scan(bytes: Buffer, start = 0, end = bytes.length): Scanned {
  const kind = scanner.scan(bytes, start, end);
  const { updates, deletes, synced, atomic, timestampHigh, timestampLow } = scanner;
  const timestampNs = BigInt.asIntN(64, (BigInt(timestampHigh) << 32n) | BigInt(timestampLow));
  return { kind, updates, deletes, synced, atomic, timestampNs };
}

/** The same from the reading that builds objects; undefined where that refuses. */
function reference(bytes: Buffer): Scanned | undefined {
  const none = { updates: 0, deletes: 0, synced: false, atomic: false, timestampNs: 0n };
  try {
    const message = decodeDeviceMessage(bytes);
    if (message.kind === 'sync') return { ...none, kind: 'sync', synced: message.synced };
    if (message.kind !== 'update') return { ...none, kind: message.kind };
    const { updates, deletes, atomic, timestampNs, skippedUpdates } = message.notification;
    // What could not be used is counted by the scanner as what it was; the tests' messages hold only updates of that sort.
    return {
      kind: 'update',
      updates: updates.length + skippedUpdates,
      deletes: deletes.length,
      synced: false,
      atomic,
      timestampNs,
    };
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(MessageMalformed);
    return undefined;
  }
}

const message = fc
  .record({
    timestamp: int64,
    prefix: fc.option(anyPath, { nil: undefined }),
    update: fc.array(fc.record({ path: anyPath, val: anyTypedValue.map(encodeTypedValue), duplicates: fc.nat() }), {
      maxLength: 5,
    }),
    delete: fc.array(anyPath, { maxLength: 3 }),
    atomic: fc.boolean(),
  })
  .map((update) => gnmi.SubscribeResponse.encode({ update }));

test('Z2: messages are counted as the obvious reader counts them, wherever they lie in the buffer', () => {
  fc.assert(
    fc.property(message, fc.nat({ max: 9 }), (bytes, before) => {
      const expected = reference(bytes);
      expect(scan(bytes)).toEqual(expected);
      const around = Buffer.concat([Buffer.alloc(before, 0xff), bytes, Buffer.from([0xff, 0x01])]);
      expect(scan(around, before, before + bytes.length)).toEqual(expected);
    }),
  );
});

test.each([
  ['S11', { syncResponse: true }, { kind: 'sync', synced: true }],
  ['S12', { syncResponse: false }, { kind: 'sync', synced: false }],
  ['T20', { error: { code: 5, message: 'gone' } }, { kind: 'error' }],
  ['T20', {}, { kind: 'empty' }],
  ['N17', { extension: [{ depth: { level: 1 } }] }, { kind: 'empty' }],
  ['N16', { update: {} }, { kind: 'update', updates: 0, deletes: 0 }],
  ['N13', { update: { timestamp: -1n } }, { kind: 'update', timestampNs: -1n }],
])('%s %#', (_rule, said, expected) => {
  const bytes = gnmi.SubscribeResponse.encode(said);
  expect(scan(bytes)).toMatchObject(expected);
  expect(scan(bytes)).toEqual(reference(bytes));
});

test('nothing of the message before is left', () => {
  scan(gnmi.SubscribeResponse.encode({ update: { timestamp: 5n, delete: [parsePath('/a')], atomic: true } }));
  expect(scan(gnmi.SubscribeResponse.encode({ syncResponse: true }))).toEqual({
    kind: 'sync',
    updates: 0,
    deletes: 0,
    synced: true,
    atomic: false,
    timestampNs: 0n,
  });
});

test('Z2: of a oneof the last counts; a notification in parts is one', () => {
  const update = gnmi.SubscribeResponse.encode({ update: { timestamp: 5n, delete: [parsePath('/a')] } });
  const sync = gnmi.SubscribeResponse.encode({ syncResponse: true });
  const error = gnmi.SubscribeResponse.encode({ error: { code: 5, message: 'gone' } });
  const members = [update, sync, error];
  for (const parts of members.flatMap((a) => members.flatMap((b) => [[a, b], ...members.map((c) => [a, b, c])]))) {
    const bytes = Buffer.concat(parts);
    expect(scan(bytes)).toEqual(reference(bytes));
  }
});

test.each([
  ['bounds outside the buffer', Buffer.alloc(4), 0, 5],
  ['a negative start', Buffer.alloc(4), -1, 4],
  ['an end before the start', Buffer.alloc(4), 3, 2],
  ['a tag of field 0', Buffer.from('0001', 'hex'), 0, 2],
  ['a length beyond the end', Buffer.from('0a020800', 'hex'), 0, 3],
  ['an inner length beyond the outer', Buffer.from('0a0222010800', 'hex'), 0, 6],
  ['an update field beyond the update', Buffer.from('0a0422020a05', 'hex'), 0, 6],
  ['a number without end', Buffer.from('0affffffffffffffffffff01', 'hex'), 0, 12],
  ['a group without end', Buffer.from('0b0801', 'hex'), 0, 3],
  ['groups without end of nesting', Buffer.alloc(5000, 0x0b), 0, 5000],
])('Z1: %s is malformed', (_why, bytes, start, end) => {
  expect(scan(bytes, start, end).kind).toBe('malformed');
});

test('Z1, Z2: damaged bytes are malformed for both, or read alike', () => {
  const flips = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 4 });
  fc.assert(
    fc.property(message, flips, fc.nat(), (bytes, changes, cut) => {
      const damaged = Buffer.from(bytes.subarray(0, bytes.length - (cut % 3)));
      for (const [at, byte] of changes) damaged[at % damaged.length] = byte;
      const scanned = scan(damaged);
      const expected = reference(damaged);
      if (scanned.kind === 'malformed') expect(expected).toBeUndefined();
      else if (expected !== undefined) {
        expect({ ...scanned, updates: 0, deletes: 0 }).toEqual({ ...expected, updates: 0, deletes: 0 });
        // A skipped delete counts among the reference's updates.
        expect(scanned.updates + scanned.deletes).toBe(expected.updates + expected.deletes);
      }
    }),
    { numRuns: 3000 },
  );
});

test('Z1: any bytes get a kind', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      const damaged = Buffer.from(bytes);
      if (scan(damaged).kind === 'malformed') expect(reference(damaged)).toBeUndefined();
    }),
    { numRuns: 3000 },
  );
});
