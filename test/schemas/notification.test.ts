import { describe, expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import { gnmi } from '../../schemas/gnmi.ts';
import { type DeviceMessage, MessageMalformed, decodeDeviceMessage, joinPath } from '../../schemas/notification.ts';
import { type Path, formatPath, parsePath } from '../../schemas/path.ts';
import { decodeTypedValue, encodeTypedValue } from '../../schemas/value.ts';
import { anyPath, anyTypedValue, int64, uint32 } from './arbitrary.ts';
import { protoType } from './reflection.ts';

/** The message as protobufjs writes it from plain objects. */
function encode(message: object): Buffer {
  const type = protoType('gnmi.SubscribeResponse');
  return Buffer.from(type.encode(type.fromObject(message)).finish());
}

function decodeUpdate(notification: object): Extract<DeviceMessage, { kind: 'update' }>['notification'] {
  const message = decodeDeviceMessage(encode({ update: notification }));
  if (message.kind !== 'update') throw new Error(message.kind);
  return message.notification;
}

const plainPath = (path: Path): object => ({
  origin: path.origin,
  elem: path.elems.map(({ name, keys }) => ({ name, key: Object.fromEntries(keys) })),
});

const uint = encodeTypedValue({ kind: 'uint', value: 1n });

describe('against protobufjs', () => {
  // fromObject assigns map entries to a plain object, where `__proto__` gets lost; path-codec.test.ts has that key.
  const path = anyPath.filter(({ elems }) => elems.every(({ keys }) => !keys.has('__proto__')));
  const update = fc.record({ path, value: anyTypedValue, duplicates: uint32 });

  test('any notification is read as protobufjs reads it', () => {
    const notification = fc.record({
      timestampNs: int64,
      prefix: fc.option(path),
      updates: fc.array(update, { maxLength: 4 }),
      deletes: fc.array(path, { maxLength: 3 }),
      atomic: fc.boolean(),
    });
    const typedValue = protoType('gnmi.TypedValue');
    fc.assert(
      fc.property(notification, (said) => {
        const read = decodeUpdate({
          timestamp: said.timestampNs.toString(),
          ...(said.prefix && { prefix: plainPath(said.prefix) }),
          update: said.updates.map((one) => ({
            path: plainPath(one.path),
            val: typedValue.decode(encodeTypedValue(one.value)),
            duplicates: one.duplicates,
          })),
          delete: said.deletes.map(plainPath),
          atomic: said.atomic,
        });
        expect({ ...read, updates: [] }).toEqual({ ...said, updates: [], skippedUpdates: 0, invalidStrings: 0 });
        expect(read.updates.map((one) => ({ ...one, value: decodeTypedValue(one.value!) }))).toEqual(said.updates);
      }),
    );
  });

  test('what our own codec writes is read alike', () => {
    fc.assert(
      fc.property(int64, anyPath, anyTypedValue, (timestamp, said, value) => {
        const val = encodeTypedValue(value);
        const bytes = gnmi.SubscribeResponse.encode({
          update: { timestamp, prefix: said, update: [{ path: said, val }] },
        });
        expect(decodeDeviceMessage(bytes)).toEqual({
          kind: 'update',
          notification: {
            timestampNs: timestamp,
            prefix: said,
            updates: [{ path: said, value: val, duplicates: 0 }],
            deletes: [],
            atomic: false,
            skippedUpdates: 0,
            invalidStrings: 0,
          },
        });
      }),
    );
  });

  test('damaged messages are read or refused by name', () => {
    const message = gnmi.SubscribeResponse.encode({
      update: {
        timestamp: 1n,
        prefix: parsePath('/a[k=v]'),
        update: [{ path: parsePath('/b'), val: uint, duplicates: 3 }],
        delete: [parsePath('/c')],
      },
    });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat({ max: message.length - 1 }), fc.nat({ max: 255 })), { maxLength: 5 }),
        (flips) => {
          const bytes = Buffer.from(message);
          for (const [at, byte] of flips) bytes[at] = byte;
          try {
            decodeDeviceMessage(bytes);
          } catch (thrown) {
            expect(thrown).toBeInstanceOf(MessageMalformed);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('kinds', () => {
  test.each<[string, Buffer, DeviceMessage]>([
    ['S11', encode({ syncResponse: true }), { kind: 'sync', synced: true }],
    ['S12', encode({ syncResponse: false }), { kind: 'sync', synced: false }],
    ['T20', encode({ error: { code: 5, message: 'gone', data: {} } }), { kind: 'error', code: 5, message: 'gone' }],
    ['T20', Buffer.alloc(0), { kind: 'empty' }],
    ['N17', encode({ extension: [{ registeredExt: { id: 1, msg: Buffer.from('x') } }] }), { kind: 'empty' }],
    [
      'of a oneof the last counts',
      Buffer.concat([encode({ update: { timestamp: 5 } }), encode({ syncResponse: true })]),
      { kind: 'sync', synced: true },
    ],
  ])('%s', (_rule, bytes, expected) => {
    expect(decodeDeviceMessage(bytes)).toEqual(expected);
  });

  test('a notification in two parts is merged, unless something came between', () => {
    const first = encode({ update: { timestamp: 5, delete: [{ origin: 'a' }] } });
    const second = encode({ update: { atomic: true, delete: [{ origin: 'b' }] } });
    const read = (...parts: Buffer[]): unknown => {
      const message = decodeDeviceMessage(Buffer.concat(parts));
      return message.kind === 'update' && [message.notification.timestampNs, message.notification.deletes.length];
    };
    expect(read(first, second)).toEqual([5n, 2]);
    expect(read(first, encode({ syncResponse: true }), second)).toEqual([0n, 1]);
  });
});

describe('fields', () => {
  test('N2, N11, N16: an empty notification, root paths, deprecated elements', () => {
    expect(decodeUpdate({})).toMatchObject({ timestampNs: 0n, prefix: null, updates: [], deletes: [] });
    const read = decodeUpdate({ prefix: { element: ['a'] }, delete: [{}, { element: ['b', 'c'] }] });
    expect(formatPath(read.prefix!)).toBe('/a');
    expect(read.deletes.map(formatPath)).toEqual(['/', '/b/c']);
  });

  test('N13: times are kept as sent, negative ones and those no double can hold', () => {
    for (const timestamp of ['-5', '1787000000000000001', '-9223372036854775808']) {
      expect(decodeUpdate({ timestamp }).timestampNs).toBe(BigInt(timestamp));
    }
  });

  test('V18: an update without a path is skipped and counted; without a value it has none', () => {
    const read = decodeUpdate({
      update: [{ val: { uintVal: 1 } }, { path: { elem: [{ name: 'a' }] } }, { path: {}, val: { uintVal: 1 } }],
    });
    expect(read.skippedUpdates).toBe(1);
    expect(read.updates.map((one) => [formatPath(one.path), one.value])).toEqual([
      ['/a', null],
      ['/', uint],
    ]);
  });

  test('V18: a TypedValue with nothing set is no value', () => {
    expect(decodeUpdate({ update: [{ path: {}, val: {} }] }).updates[0]?.value).toBeNull();
  });

  test('P-a: paths with an empty key name have no text: skipped and counted, in deletes too', () => {
    const bad = { elem: [{ name: 'a', key: { '': 'x' } }] };
    const read = decodeUpdate({ update: [{ path: bad, val: { uintVal: 1 } }], delete: [bad, {}] });
    expect([read.skippedUpdates, read.updates.length, read.deletes.length]).toEqual([2, 0, 1]);
  });

  test.each([
    [0, { kind: 'json', value: Buffer.from('1') }],
    [1, { kind: 'bytes', value: Buffer.from('1') }],
    [2, { kind: 'proto_bytes', value: Buffer.from('1') }],
    [3, { kind: 'ascii', value: '1' }],
    [4, { kind: 'json_ietf', value: Buffer.from('1') }],
  ])('V15: the deprecated value of type %i is converted', (type, expected) => {
    const value = { value: Buffer.from('1'), type };
    const [converted, ignored] = decodeUpdate({
      update: [
        { path: {}, value },
        { path: {}, value, val: { uintVal: 1 } },
      ],
    }).updates;
    expect(decodeTypedValue(converted!.value!)).toEqual(expected);
    expect(ignored!.value).toEqual(uint);
  });

  test('N15: the duplicates of the sender are kept', () => {
    expect(decodeUpdate({ update: [{ path: {}, duplicates: 7 }] }).updates[0]?.duplicates).toBe(7);
  });

  test('L5: strings that are not UTF-8 are counted', () => {
    const bytes = encode({ update: { delete: [{ elem: [{ name: 'ab' }] }] } });
    bytes[bytes.indexOf('ab')] = 0xff;
    expect(decodeDeviceMessage(bytes)).toMatchObject({ notification: { invalidStrings: 1 } });
  });

  test('N17: unknown fields are skipped at every level', () => {
    // message 100: varint | notification 100: varint | update 100: varint, path /a
    const bytes = Buffer.from('a00601 0a0f a00601 220a a00601 0a05 1a03 0a0161'.replaceAll(' ', ''), 'hex');
    const message = decodeDeviceMessage(bytes);
    expect(message.kind === 'update' && formatPath(message.notification.updates[0]!.path)).toBe('/a');
  });
});

test.each([
  ['N1', '/a[k=v]', '/b', 'openconfig:/a[k=v]/b'],
  ['N1', '/', '/b', 'openconfig:/b'],
  ['N1', '/a', '/', 'openconfig:/a'],
  ['N7', 'srl:/a', '/b', 'srl:/a/b'],
  ['N7', '/', 'srl:/b', 'srl:/b'],
  ['N7', 'srl:/a', 'srl:/b', 'srl:/a/b'],
  ['N9', 'one:/', 'two:/b', 'two:/b'],
  ['N7', null, 'srl:/b', 'srl:/b'],
  ['N6', null, '/b', 'openconfig:/b'],
])('%s: prefix %s and path %s make %s', (_rule, prefix, path, whole) => {
  const joined = joinPath(prefix === null ? null : parsePath(prefix), parsePath(path));
  expect(formatPath({ ...joined, target: '' })).toBe(whole);
});
