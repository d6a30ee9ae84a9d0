import { expect, test } from '@jest/globals';
import { connect } from 'node:net';
import { testKafka } from '../support/kafka.ts';

test('the Kafka of this run answers on loopback', async () => {
  const [host, port] = (testKafka().brokers[0] ?? '').split(':');
  const socket = connect(Number(port), host);
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', () => resolve());
    socket.once('error', reject);
  });
  socket.destroy();
  expect(host).toBe('127.0.0.1');
});
