/** Values: what a device said, to the last digit. */
import { expect } from '@jest/globals';
import { parsePath } from '../../schemas/path.ts';
import { encodeTypedValue, type TypedValue } from '../../schemas/value.ts';
import { json, jsonIetf, note, type Value } from './message.ts';
import { type Scenario } from './scenario.ts';

/** Sends each value, and expects each answer and type. */
function values(
  id: string,
  rules: string,
  title: string,
  table: readonly (readonly [Value, unknown, TypedValue['kind']])[],
): Scenario {
  return {
    id: `cache/${id}`,
    title,
    rules,
    run: async (stage) => {
      const device = await stage.synced();
      device.send({ t: 1, set: table.map(([value], index) => [`/v/n${index}`, value] as const) });
      const leaves = await device.leaves();
      expect(leaves.map(({ value, type }) => [value, type])).toEqual(table.map(([, value, type]) => [value, type]));
    },
  };
}

const decimal = (digits: bigint, precision: number): TypedValue => ({ kind: 'decimal', digits, precision });
const double = (value: number): TypedValue => ({ kind: 'double', value });
const list = (...elements: TypedValue[]): TypedValue => ({ kind: 'leaflist', values: elements });

export const cacheValues: readonly Scenario[] = [
  values('value-string', 'V1', 'strings are kept, empty ones and any script too', [
    ['up', 'up', 'string'],
    ['', '', 'string'],
    ['Zürich 東京 🛰 "x"\n', 'Zürich 東京 🛰 "x"\n', 'string'],
  ]),
  values('value-int64', 'V2', 'int64 is exact at both ends', [
    [{ kind: 'int', value: -9223372036854775808n }, '-9223372036854775808', 'int'],
    [{ kind: 'int', value: 9223372036854775807n }, '9223372036854775807', 'int'],
    [{ kind: 'int', value: 0n }, '0', 'int'],
  ]),
  values('value-uint64', 'V3', 'uint64 is exact to its end, and beyond 2^53', [
    [18446744073709551615n, '18446744073709551615', 'uint'],
    [9007199254740993n, '9007199254740993', 'uint'],
  ]),
  values('value-bool', 'V4 L7', 'false is a value, not the lack of one', [
    [false, false, 'bool'],
    [true, true, 'bool'],
  ]),
  values('value-bytes', 'V5', 'bytes are kept and answered in base64', [
    [{ kind: 'bytes', value: Buffer.from([0, 255, 128, 10]) }, 'AP+ACg==', 'bytes'],
    [{ kind: 'bytes', value: Buffer.alloc(0) }, '', 'bytes'],
  ]),
  values('value-float', 'V6 L8', 'a float32 is answered in its shortest form', [
    [{ kind: 'float', value: 0.1 }, 0.1, 'float'],
    [{ kind: 'float', value: -5.25 }, -5.25, 'float'],
  ]),
  values('value-decimal', 'V7', 'a deprecated decimal is exact: negative, of precision 0 and 18, beyond 2^53', [
    [decimal(-12345n, 2), '-123.45', 'decimal'],
    [decimal(7n, 0), '7', 'decimal'],
    [decimal(1n, 18), '0.000000000000000001', 'decimal'],
    [decimal(9223372036854775807n, 4), '922337203685477.5807', 'decimal'],
  ]),
  values('value-leaflist', 'V8', 'a leaf-list keeps order and types; an empty one is not an absent one', [
    [
      list({ kind: 'string', value: 'b' }, { kind: 'uint', value: 2n ** 63n }, { kind: 'bool', value: false }),
      ['b', '9223372036854775808', false],
      'leaflist',
    ],
    [list(), [], 'leaflist'],
  ]),
  values('value-any', 'V9', 'an Any of a type nobody knows is kept with its name', [
    [
      { kind: 'any', typeUrl: 'type.example/unknown.T', value: Buffer.from('x') },
      { typeUrl: 'type.example/unknown.T', value: 'eA==' },
      'any',
    ],
  ]),
  {
    id: 'cache/value-json',
    title: 'JSON is kept digit by digit: numbers beyond 2^53, bare or nested, with their blanks inside',
    rules: 'V10',
    run: async (stage) => {
      const device = await stage.synced();
      device.send({ t: 1, set: { '/j/a': json('18446744073709551615'), '/j/b': json('{"n": 9007199254740993.10}') } });
      await device.settled();
      const text = await device.answer(['/j']);
      expect(text).toContain('"value":18446744073709551615,"type":"json"');
      expect(text).toContain('"value":{"n": 9007199254740993.10},"type":"json"');
    },
  },
  values('value-json-ietf', 'V11', 'JSON_IETF is kept: module names, 64-bit integers as strings, empty as `[null]`', [
    [jsonIetf('{"oc-if:mtu":"9000","e":[null]}'), { 'oc-if:mtu': '9000', e: [null] }, 'json_ietf'],
    [jsonIetf('"oc-types:UP"'), 'oc-types:UP', 'json_ietf'],
  ]),
  values('value-ascii-proto-bytes', 'V12 V13', 'ASCII is text as it is, `proto_bytes` stay bytes', [
    [{ kind: 'ascii', value: 'show version\n  1.2' }, 'show version\n  1.2', 'ascii'],
    [{ kind: 'proto_bytes', value: Buffer.from([8, 1]) }, 'CAE=', 'proto_bytes'],
  ]),
  values('value-double', 'V14', 'a double is exact; NaN and the infinities are texts', [
    [double(0.1), 0.1, 'double'],
    [double(Number.NaN), 'NaN', 'double'],
    [double(Infinity), 'Infinity', 'double'],
    [double(-Infinity), '-Infinity', 'double'],
  ]),
  {
    id: 'cache/value-deprecated',
    title: 'the deprecated value field is read where val is absent, and ignored where it is not',
    rules: 'V15',
    run: async (stage) => {
      const device = await stage.synced();
      const value = { value: Buffer.from('"old"'), type: 'JSON' as const };
      const path = (text: string) => parsePath(text);
      device.send(
        note({
          t: 1,
          updates: [
            { path: path('/old'), value },
            { path: path('/both'), value, val: encodeTypedValue({ kind: 'string', value: 'new' }) },
          ],
        }),
      );
      expect(await device.state()).toEqual({ '/old': 'old', '/both': 'new' });
    },
  },
  {
    id: 'cache/value-bad-json',
    title: 'JSON that is none costs its own update and no other',
    rules: 'V16',
    run: async (stage) => {
      const device = await stage.synced();
      device.send({ t: 1, set: { '/a': json('{"cut":'), '/b': 1, '/c': jsonIetf('') } });
      expect(await device.state()).toEqual({ '/b': '1' });
    },
  },
  values('value-json-blanks', 'V17', 'JSON with blanks and a line end around it is accepted', [
    [json(' {"a":1}\r\n'), { a: 1 }, 'json'],
  ]),
  {
    id: 'cache/value-missing',
    title: 'an update without value, or without path, is skipped and costs no other',
    rules: 'V18',
    run: async (stage) => {
      const device = await stage.synced();
      device.send(
        note({
          t: 1,
          set: { '/b': 1 },
          updates: [{ path: parsePath('/a') }, { val: encodeTypedValue({ kind: 'uint', value: 1n }) }],
        }),
      );
      expect(await device.state()).toEqual({ '/b': '1' });
    },
  },
  {
    id: 'cache/json-whole',
    title: 'a JSON object stays one leaf at its container unless the device record says otherwise',
    rules: 'E6 V10 G5',
    run: async (stage) => {
      const device = await stage.synced();
      device.send({ t: 1, set: { '/if[name=a]': json('{"state":{"mtu":9000,"up":true}}') } });
      expect(await device.state()).toEqual({ '/if[name=a]': { state: { mtu: 9000, up: true } } });
    },
  },
  {
    id: 'cache/json-exploded',
    title: 'with explodeJson a JSON object becomes a leaf per member, its arrays whole',
    rules: 'E6 V10 V11',
    run: async (stage) => {
      const device = await stage.synced({ explodeJson: true });
      device.send({ t: 1, set: { '/if[name=a]': json('{"state":{"mtu":9000,"ids":[1,2]},"oc:up":true}') } });
      expect(await device.state()).toEqual({
        '/if[name=a]/state/mtu': 9000,
        '/if[name=a]/state/ids': [1, 2],
        '/if[name=a]/oc:up': true,
      });
    },
  },
  {
    id: 'cache/timestamps',
    title: 'times are kept to the nanosecond, negative ones and the last of int64 too',
    rules: 'N13 L1 L2',
    run: async (stage) => {
      const device = await stage.synced();
      const times = [1795246383702000001n, 1n, -5n];
      for (const [index, t] of times.entries()) device.send({ t, set: { [`/t${index}`]: 1 } });
      const leaves = await device.leaves();
      expect(leaves.map(({ timestamp }) => timestamp)).toEqual(times.map(String));
    },
  },
];
