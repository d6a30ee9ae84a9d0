import { expect, test } from '@jest/globals';
import { messageType, text } from '../../schemas/message-codec.ts';
import { RecordMalformed } from '../../schemas/position.ts';
import { recordCodec } from '../../schemas/record-codec.ts';

test('a record codec names its message, also in what it throws', () => {
  const codec = recordCodec('holdfast.v1.Leaf', messageType<{ readonly name: string }>({ name: text(1) }));
  expect(codec.message).toBe('holdfast.v1.Leaf');
  expect(codec.decode(codec.encode({ name: 'a' }))).toEqual({ name: 'a' });
  const decode = (): unknown => codec.decode(Buffer.from('0a05', 'hex'));
  expect(decode).toThrow(RecordMalformed);
  expect(decode).toThrow('holdfast.v1.Leaf: message is malformed');
});

test('errors that are not about the bytes stay what they are', () => {
  const broken = recordCodec('holdfast.v1.Leaf', {
    write: () => undefined,
    read: (): never => {
      throw new TypeError('a bug');
    },
  });
  expect(() => broken.decode(Buffer.alloc(0))).toThrow(TypeError);
});
