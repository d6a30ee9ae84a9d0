import { expect, test } from '@jest/globals';
import { HoldfastError } from '../../../core/errors.ts';
import { factsOf, isDenied, kafkaError, toHoldfastError } from '../../../core/kafka/errors.ts';

test.each([
  [6, 'NOT_LEADER_OR_FOLLOWER', true, true],
  [15, 'COORDINATOR_NOT_AVAILABLE', true, false],
  [25, 'UNKNOWN_MEMBER_ID', false, false],
  [47, 'INVALID_PRODUCER_EPOCH', false, false],
  [89, 'THROTTLING_QUOTA_EXCEEDED', true, false],
  [90, 'PRODUCER_FENCED', false, false],
  [999, 'KAFKA_ERROR_999', false, false],
])('code %i is %s', (code, name, retriable, staleMetadata) => {
  expect(factsOf(code)).toEqual({ name, retriable, staleMetadata });
  expect(kafkaError(code)).toMatchObject({ kind: 'protocol', code, name, retriable, staleMetadata });
});

const thrown = (name: string, more: object = {}): Error => Object.assign(new Error('words'), { name, ...more });

test.each([
  [thrown('KafkaJSRequestTimeoutError'), 'timeout', true],
  [thrown('KafkaJSConnectionError', { code: 'ECONNREFUSED' }), 'transport', true],
  [thrown('KafkaJSConnectionClosedError'), 'transport', true],
  [thrown('KafkaJSSASLAuthenticationError'), 'denied', false],
  [thrown('KafkaJSProtocolError', { code: 16, type: 'NOT_COORDINATOR_FOR_GROUP' }), 'protocol', true],
  [thrown('RangeError'), 'transport', true],
])('%p', (error, kind, retriable) => {
  const found = kafkaError(error, 'asking');
  expect(found).toMatchObject({ kind, retriable });
  expect(found.message).toContain('asking');
});

test('what leaves core/kafka has our codes', () => {
  expect(toHoldfastError(kafkaError(30, 'group g'))).toMatchObject({ code: 'KAFKA_DENIED', retryable: false });
  expect(toHoldfastError(kafkaError(30, 'group g')).message).toContain('grant Read on the group');
  expect(toHoldfastError(thrown('KafkaJSConnectionError'))).toMatchObject({
    code: 'KAFKA_UNREACHABLE',
    retryable: true,
  });
  expect(toHoldfastError(kafkaError(19))).toMatchObject({ code: 'KAFKA_UNAVAILABLE', retryable: true });
  const ours = new HoldfastError('FENCED', 'x');
  expect(toHoldfastError(ours)).toBe(ours);
  expect(isDenied(kafkaError(58))).toBe(true);
  expect(isDenied(kafkaError(6))).toBe(false);
});
