import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import RequestQueue from 'kafkajs/src/network/requestQueue/index.js';
import { verifyKafkaClient } from '../../../core/kafka/broker-link.ts';

test('the client library is the pinned version, and its inner parts are what we build on', () => {
  const { version } = JSON.parse(readFileSync(require.resolve('kafkajs/package.json'), 'utf8')) as { version: string };
  expect(version).toBe('2.2.4');
  expect(() => verifyKafkaClient()).not.toThrow();
});

test('an idle request queue arms no timer', () => {
  verifyKafkaClient();
  const queue = { pending: [], throttledUntil: -1, throttleCheckTimeoutId: null };
  RequestQueue.prototype.scheduleCheckPendingRequests.call(queue as unknown as RequestQueue);
  expect(queue.throttleCheckTimeoutId).toBeNull();
});
