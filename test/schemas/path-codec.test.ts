import { expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import { gnmi } from '../../schemas/gnmi.ts';
import { parsePath } from '../../schemas/path.ts';
import { anyPath } from './arbitrary.ts';
import { protoType, throughProtobufjs } from './reflection.ts';

const decode = (message: object): unknown => {
  const type = protoType('gnmi.Path');
  return gnmi.Path.decode(Buffer.from(type.encode(type.fromObject(message)).finish()));
};

test('paths come back, also through protobufjs', () => {
  fc.assert(
    fc.property(anyPath, (path) => {
      const said = { ...path, target: 'leaf-1' };
      const bytes = gnmi.Path.encode(said);
      expect(gnmi.Path.decode(bytes)).toEqual(said);
      expect(gnmi.Path.decode(throughProtobufjs('gnmi.Path', bytes))).toEqual(said);
    }),
  );
});

test('N11: the deprecated element strings are read where elem is empty', () => {
  expect(decode({ element: ['a', 'b'], origin: 'x' })).toEqual(parsePath('x:/a/b'));
  expect(decode({ element: ['a'], elem: [{ name: 'c' }] })).toEqual(parsePath('/c'));
});

test('N2, N3: zero elements is the root, one empty element is not', () => {
  expect(decode({})).toEqual(parsePath('/'));
  expect(decode({ elem: [{}] })).toEqual(parsePath('//'));
  expect(decode({ elem: [{ key: { k: 'v' } }] })).toEqual(parsePath('/[k=v]'));
});

test('N18, L6: `__proto__` is a key like any other', () => {
  const bytes = Buffer.from('1a140a0161120f0a095f5f70726f746f5f5f12027878', 'hex');
  expect(gnmi.Path.decode(bytes)).toEqual(parsePath('/a[__proto__=xx]'));
});
