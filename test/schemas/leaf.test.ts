import { expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import { leafCodec, leafContentCodec } from '../../schemas/leaf.ts';
import { decodeTypedValue, encodeTypedValue } from '../../schemas/value.ts';
import { anyText, anyTypedValue, int64 } from './arbitrary.ts';
import { checkRecord } from './record-check.ts';
import { protoType } from './reflection.ts';

const leaf = fc.record({
  device: anyText,
  origin: anyText,
  path: anyText,
  value: anyTypedValue.map(encodeTypedValue),
  timestampNs: int64,
  atomicRoot: anyText,
  sampled: fc.boolean(),
});

test('leaf records are what the .proto file says, but for the value, which stays encoded', () => {
  const { value: _ours, ...names } = leafCodec.decode(Buffer.alloc(0));
  fc.assert(
    fc.property(leaf, (record) => {
      const bytes = leafCodec.encode(record);
      expect(leafCodec.decode(bytes)).toEqual(record);
      const { device: _device, origin: _origin, path: _path, ...content } = record;
      expect(leafContentCodec.decode(bytes)).toEqual(content);
      const type = protoType('holdfast.v1.Leaf');
      const read = type.toObject(type.decode(bytes), { longs: String, defaults: true });
      const value = protoType('gnmi.TypedValue')
        .encode(read['value'] as object)
        .finish();
      expect({ ...read, timestampNs: BigInt(String(read['timestampNs'])), value: null }).toEqual({
        ...record,
        value: null,
      });
      expect(decodeTypedValue(Buffer.from(value))).toEqual(decodeTypedValue(record.value));
      expect(Object.keys(read).sort()).toEqual([...Object.keys(names), 'value'].sort());
    }),
  );
});

test('leaf records are read back from protobufjs; foreign bytes are refused by name', () => {
  checkRecord(leafCodec, leaf, {}, ['value']);
});
