import { expect, test } from '@jest/globals';
import { decodeIdentity, encodeIdentityRequest } from '../../../core/kafka/topic-identity.ts';

// Laid out by hand after Kafka's protocol guide: Metadata v10, a flexible version.
const id = '00112233445566778899aabbccddeeff';
const answer = (code: string, topicId: string): Buffer =>
  Buffer.from(
    [
      '00', // tags of the header
      '00000000', // throttle time
      '02' + '00000001' + '0a3132372e302e302e31' + '00002384' + '00' + '00', // one broker, without rack and tags
      '07' + Buffer.from('abc-_1').toString('hex'), // cluster id
      '00000001', // controller
      '02' + code + '02' + Buffer.from('t').toString('hex') + topicId + '00', // one topic; its partitions follow
    ].join(''),
    'hex',
  );

test('the request asks for one topic by name, and creates none', () => {
  const zeros = '00'.repeat(16);
  expect(encodeIdentityRequest('t').toString('hex')).toBe(
    '00' + '02' + zeros + '0274' + '00' + '00' + '00' + '00' + '00',
  );
  const long = 'x'.repeat(200);
  expect(encodeIdentityRequest(long).toString('hex')).toContain('c901' + Buffer.from(long).toString('hex')); // 201
});

test('cluster and topic are told apart by their ids', () => {
  expect(decodeIdentity(answer('0000', id))).toEqual({ clusterId: 'abc-_1', topicId: Buffer.from(id, 'hex') });
});

test('brokers that give topics no ids have none to tell', () => {
  expect(decodeIdentity(answer('0000', '00'.repeat(16)))).toBeNull();
});

test('a topic that is not there is an error, and an answer that ends early is one too', () => {
  expect(() => decodeIdentity(answer('0003', id))).toThrow(/identity of t/);
  expect(() => decodeIdentity(answer('0000', id).subarray(0, 40))).toThrow(/out of range|ends at/);
});
