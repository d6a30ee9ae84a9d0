import { describe, expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import {
  MessageMalformed,
  type TypedValue,
  decodeTypedValue,
  encodeTypedValue,
  formatValueJson,
  isBadJson,
  valueType,
} from '../../schemas/value.ts';
import { anyTypedValue } from './arbitrary.ts';
import { plain, protoType, throughProtobufjs } from './reflection.ts';

const utf8 = (text: string): Buffer => Buffer.from(text, 'utf8');
const json = (text: string): TypedValue => ({ kind: 'json', value: utf8(text) });
const decimal = (digits: bigint, precision: number): TypedValue => ({ kind: 'decimal', digits, precision });
const float = (value: number): TypedValue => ({ kind: 'float', value: Math.fround(value) });
const double = (value: number): TypedValue => ({ kind: 'double', value });

describe('JSON forms', () => {
  test.each<[string, TypedValue, string, string, string]>([
    ['V1', { kind: 'string', value: 'a"\né' }, '"a\\"\\né"', '"a\\"\\né"', '{"stringVal":"a\\"\\né"}'],
    [
      'V2',
      { kind: 'int', value: -(2n ** 63n) },
      '"-9223372036854775808"',
      '-9223372036854775808',
      '{"intVal":"-9223372036854775808"}',
    ],
    [
      'V3',
      { kind: 'uint', value: 2n ** 64n - 1n },
      '"18446744073709551615"',
      '18446744073709551615',
      '{"uintVal":"18446744073709551615"}',
    ],
    ['V4', { kind: 'bool', value: false }, 'false', 'false', '{"boolVal":false}'],
    ['V5', { kind: 'bytes', value: Buffer.from([0, 255]) }, '"AP8="', '"AP8="', '{"bytesVal":"AP8="}'],
    ['V6', float(0.1), '0.1', '0.1', '{"floatVal":0.1}'],
    ['V6', float(16777216), '16777216', '16777216', '{"floatVal":16777216}'],
    ['V7', decimal(-5n, 1), '"-0.5"', '-0.5', '{"decimalVal":{"digits":"-5","precision":1}}'],
    ['V7', decimal(0n, 2), '"0.00"', '0.00', '{"decimalVal":{"digits":"0","precision":2}}'],
    [
      'V7',
      decimal(9007199254740993n, 0),
      '"9007199254740993"',
      '9007199254740993',
      '{"decimalVal":{"digits":"9007199254740993","precision":0}}',
    ],
    [
      'V7',
      decimal(-9223372036854775808n, 18),
      '"-9.223372036854775808"',
      '-9.223372036854775808',
      '{"decimalVal":{"digits":"-9223372036854775808","precision":18}}',
    ],
    ['V8', { kind: 'leaflist', values: [] }, '[]', '[]', '{"leaflistVal":{"element":[]}}'],
    [
      'V8',
      {
        kind: 'leaflist',
        values: [
          { kind: 'uint', value: 1n },
          { kind: 'string', value: 'a' },
        ],
      },
      '["1","a"]',
      '[1,"a"]',
      '{"leaflistVal":{"element":[{"uintVal":"1"},{"stringVal":"a"}]}}',
    ],
    [
      'V9',
      { kind: 'any', typeUrl: 'x/y', value: Buffer.from([1]) },
      '{"typeUrl":"x/y","value":"AQ=="}',
      '{"typeUrl":"x/y","value":"AQ=="}',
      '{"anyVal":{"typeUrl":"x/y","value":"AQ=="}}',
    ],
    [
      'V10',
      json('{"a":18446744073709551615,"b":[1.10]}'),
      '{"a":18446744073709551615,"b":[1.10]}',
      '{"a":18446744073709551615,"b":[1.10]}',
      '{"jsonVal":{"a":18446744073709551615,"b":[1.10]}}',
    ],
    ['V10', json('"bare"'), '"bare"', '"bare"', '{"jsonVal":"bare"}'],
    [
      'V11',
      { kind: 'json_ietf', value: utf8('{"m:a":"1","e":[null]}') },
      '{"m:a":"1","e":[null]}',
      '{"m:a":"1","e":[null]}',
      '{"jsonIetfVal":{"m:a":"1","e":[null]}}',
    ],
    ['V12', { kind: 'ascii', value: 'show\r' }, '"show\\r"', '"show\\r"', '{"asciiVal":"show\\r"}'],
    ['V13', { kind: 'proto_bytes', value: Buffer.from([1]) }, '"AQ=="', '"AQ=="', '{"protoBytes":"AQ=="}'],
    ['V14', double(0.1), '0.1', '0.1', '{"doubleVal":0.1}'],
    ['V14', double(NaN), '"NaN"', '"NaN"', '{"doubleVal":"NaN"}'],
    ['V14', double(Infinity), '"Infinity"', '"Infinity"', '{"doubleVal":"Infinity"}'],
    ['V14', float(-Infinity), '"-Infinity"', '"-Infinity"', '{"floatVal":"-Infinity"}'],
    ['V16', json('{"a":'), '"{\\"a\\":"', '"{\\"a\\":"', '{"jsonVal":"{\\"a\\":"}'],
    ['V17', json(' [1]\r\n'), '[1]', '[1]', '{"jsonVal":[1]}'],
  ])('%s %#', (_rule, value, rfc7951, native, typed) => {
    expect(formatValueJson(value, 'rfc7951')).toBe(rfc7951);
    expect(formatValueJson(value, 'native')).toBe(native);
    expect(formatValueJson(value, 'typed')).toBe(typed);
  });

  test('V-c: any value has a JSON text in every form, and a type', () => {
    fc.assert(
      fc.property(anyTypedValue, (value) => {
        for (const encoding of ['rfc7951', 'native', 'typed'] as const) JSON.parse(formatValueJson(value, encoding));
        expect(valueType(value)).toBe(value.kind);
      }),
    );
  });

  test('V16: text that claims to be JSON and is not is told', () => {
    const texts = ['1', ' {"a":1}\n', '', '{', '01', '{"a":1}x', "'a'"];
    expect(texts.map((text) => isBadJson(json(text)))).toEqual([false, false, true, true, true, true, true]);
    expect(isBadJson({ kind: 'json_ietf', value: Buffer.from([0x22, 0xff, 0x22]) })).toBe(true);
    expect(isBadJson({ kind: 'ascii', value: '{' })).toBe(false);
  });
});

describe('wire form', () => {
  test('values come back, also through protobufjs', () => {
    fc.assert(
      fc.property(anyTypedValue, (value) => {
        const bytes = encodeTypedValue(value);
        expect(decodeTypedValue(bytes)).toEqual(value);
        expect(decodeTypedValue(throughProtobufjs('gnmi.TypedValue', bytes))).toEqual(value);
      }),
    );
  });

  test.each<[string, object, TypedValue]>([
    ['V1', { stringVal: '' }, { kind: 'string', value: '' }],
    ['V2', { intVal: '-9223372036854775808' }, { kind: 'int', value: -(2n ** 63n) }],
    ['V3', { uintVal: '18446744073709551615' }, { kind: 'uint', value: 2n ** 64n - 1n }],
    ['V4', { boolVal: false }, { kind: 'bool', value: false }],
    ['V5', { bytesVal: Buffer.from([0]) }, { kind: 'bytes', value: Buffer.from([0]) }],
    ['V6', { floatVal: 0.1 }, float(0.1)],
    ['V7', { decimalVal: { digits: '-5', precision: 1 } }, decimal(-5n, 1)],
    ['V8', { leaflistVal: {} }, { kind: 'leaflist', values: [] }],
    [
      'V8',
      { leaflistVal: { element: [{ boolVal: false }, { uintVal: 3 }] } },
      {
        kind: 'leaflist',
        values: [
          { kind: 'bool', value: false },
          { kind: 'uint', value: 3n },
        ],
      },
    ],
    ['V9', { anyVal: { type_url: 'u', value: Buffer.from('x') } }, { kind: 'any', typeUrl: 'u', value: utf8('x') }],
    ['V10', { jsonVal: utf8('1') }, json('1')],
    ['V11', { jsonIetfVal: utf8('1') }, { kind: 'json_ietf', value: utf8('1') }],
    ['V12', { asciiVal: 'x' }, { kind: 'ascii', value: 'x' }],
    ['V13', { protoBytes: utf8('x') }, { kind: 'proto_bytes', value: utf8('x') }],
    ['V14', { doubleVal: 0.1 }, double(0.1)],
  ])('%s %j is read by the name of its field', (_rule, message, expected) => {
    const type = protoType('gnmi.TypedValue');
    expect(plain(decodeTypedValue(Buffer.from(type.encode(type.fromObject(message)).finish())))).toEqual(
      plain(expected),
    );
  });

  test('V18: nothing set is null, unknown fields too; of several the last counts', () => {
    const decode = (hex: string): unknown => decodeTypedValue(Buffer.from(hex, 'hex'));
    expect(decode('')).toBeNull();
    expect(decode('a00601')).toBeNull();
    expect(decode('0a0161' + '1805')).toEqual({ kind: 'uint', value: 5n });
  });

  test('V-c: nesting without end is refused, not a crash', () => {
    let value: Buffer = Buffer.from('0a0161', 'hex');
    for (let depth = 0; depth < 2000; depth++) {
      const element = Buffer.concat([Buffer.from([0x0a, ...varint(value.length)]), value]);
      value = Buffer.concat([Buffer.from([0x42, ...varint(element.length)]), element]);
    }
    expect(() => decodeTypedValue(value)).toThrow(MessageMalformed);
  });
});

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}
