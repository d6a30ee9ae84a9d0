/** What every record type must do, asked of its codec and its .proto file together. */
import { expect } from '@jest/globals';
import fc from '../support/properties.ts';
import { RecordMalformed } from '../../schemas/position.ts';
import { type RecordCodec } from '../../schemas/record-codec.ts';
import { type EnumNames, plain, readByProtobufjs, throughProtobufjs } from './reflection.ts';

/**
 * Any record comes back; protobufjs, reading the .proto file, sees the same names and values; what protobufjs writes is
 * read; foreign bytes are refused by name. `opaque` fields are left out where values are compared.
 */
export function checkRecord<T>(
  codec: RecordCodec<T>,
  arbitrary: fc.Arbitrary<T>,
  enums: EnumNames = {},
  opaque: readonly string[] = [],
): void {
  fc.assert(
    fc.property(arbitrary, (record) => {
      const bytes = codec.encode(record);
      expect(codec.decode(bytes)).toEqual(record);
      expect(codec.decode(throughProtobufjs(codec.message, bytes))).toEqual(record);
      expect(without(readByProtobufjs(codec.message, bytes), opaque)).toEqual(without(plain(record, enums), opaque));
    }),
  );
  expect(codec.encode(codec.decode(Buffer.alloc(0))).length).toBeLessThanOrEqual(2); // a Leaf always says its value
  expect(() => codec.decode(Buffer.from('0aff', 'hex'))).toThrow(RecordMalformed);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      try {
        codec.decode(Buffer.from(bytes));
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(RecordMalformed);
      }
    }),
  );
}

function without(value: unknown, names: readonly string[]): unknown {
  return Object.fromEntries(Object.entries(value as object).filter(([name]) => !names.includes(name)));
}
