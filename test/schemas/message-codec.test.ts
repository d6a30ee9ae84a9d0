import { expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import {
  codecOf,
  flag,
  int32,
  int64,
  list,
  messageType,
  ms,
  named,
  namedList,
  oneofFlag,
  oneofInt64,
  optional,
  text,
  textMap,
  texts,
} from '../../schemas/message-codec.ts';
import { MessageMalformed } from '../../schemas/wire-reader.ts';

interface Inner {
  readonly text: string;
  readonly list: readonly string[];
}

interface Sample {
  readonly time: bigint;
  readonly inner?: Inner;
  readonly chosenFlag?: boolean;
  readonly chosenTime?: bigint;
  readonly inners: readonly Inner[];
  readonly colour: 'red' | 'green';
  readonly colours: readonly ('red' | 'green')[];
  readonly map: ReadonlyMap<string, string>;
  readonly waitMs: number;
  readonly on: boolean;
  readonly small: number;
}

const colours = ['red', 'green'] as const;
const inner = messageType<Inner>({ text: text(1), list: texts(2) });
const codec = codecOf(
  messageType<Sample>({
    time: int64(1),
    inner: optional(2, inner),
    chosenFlag: oneofFlag(3, 'choice'),
    chosenTime: oneofInt64(4, 'choice'),
    inners: list(5, inner),
    colour: named(6, colours),
    colours: namedList(7, colours),
    map: textMap(8),
    waitMs: ms(9),
    on: flag(10),
    small: int32(11),
  }),
);

const empty: Sample = {
  time: 0n,
  inners: [],
  colour: 'red',
  colours: [],
  map: new Map(),
  waitMs: 0,
  on: false,
  small: 0,
};
const decode = (hex: string): Sample => codec.decode(Buffer.from(hex.replaceAll(' ', ''), 'hex'));

test('C3: defaults are not written, and come back', () => {
  expect(codec.encode({})).toEqual(Buffer.alloc(0));
  expect(codec.encode(empty)).toEqual(Buffer.alloc(0));
  expect(codec.decode(Buffer.alloc(0))).toEqual(empty);
});

test('what is said comes back, zero in a oneof too', () => {
  const said: Sample = {
    ...empty,
    time: -1n,
    inner: { text: '', list: ['', 'a'] },
    chosenFlag: false,
    inners: [{ text: 'b', list: [] }],
    colour: 'green',
    colours: ['green', 'red'],
    map: new Map([
      ['__proto__', ''],
      ['', 'x'],
    ]),
    waitMs: 2 ** 53 - 1,
    on: true,
    small: -5,
  };
  expect(codec.decode(codec.encode(said))).toEqual(said);
});

test('C2: milliseconds are whole and not negative', () => {
  expect(codec.decode(codec.encode({ waitMs: 1.6 })).waitMs).toBe(2);
  expect(codec.decode(codec.encode({ waitMs: -3 })).waitMs).toBe(0);
});

test('C3: of a oneof the last counts', () => {
  expect(decode('18 01 20 05')).toEqual({ ...empty, chosenTime: 5n });
  expect(decode('20 05 18 00')).toEqual({ ...empty, chosenFlag: false });
});

test('C3: a message that comes twice is merged', () => {
  expect(decode('12 06 0a 01 61 12 01 62 12 03 12 01 63').inner).toEqual({ text: 'a', list: ['b', 'c'] });
});

test('C3: enums are read packed or not; a number without a name is the first, or left out of a list', () => {
  expect(decode('38 01 3a 02 00 01').colours).toEqual(['green', 'red', 'green']);
  expect(decode('38 07 30 07')).toEqual(empty);
});

test('C3: unknown fields and known ones of a foreign wire type are skipped', () => {
  expect(decode('0a 01 61 10 01 a8 06 07 4a 00 50 01')).toEqual({ ...empty, on: true });
});

test('long lists and maps are read in linear time', () => {
  const n = 100_000;
  const bytes = codec.encode({
    inner: { list: Array.from({ length: n }, () => 'a') },
    colours: Array.from({ length: n }, () => 'green' as const),
    map: new Map(Array.from({ length: n }, (_, index) => [String(index), ''])),
  });
  const read = codec.decode(bytes);
  expect([read.inner?.list.length, read.colours.length, read.map.size]).toEqual([n, n, n]);
});

test('any bytes are decoded or refused by name', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      try {
        codec.decode(Buffer.from(bytes));
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(MessageMalformed);
      }
    }),
    { numRuns: 1000 },
  );
});
