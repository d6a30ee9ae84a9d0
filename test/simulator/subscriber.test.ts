import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from '@jest/globals';
import { GnmiClient, streamOf } from './subscriber.ts';
import { freePort } from '../support/free-port.ts';

test('a client that could not connect and was closed does not dial again', async () => {
  const port = await freePort();
  const client = new GnmiClient(`127.0.0.1:${port}`);
  await client.subscribe(streamOf(['/'])).ended();
  await client.subscribe(streamOf(['/'])).ended();
  client.close();
  let dialled = 0;
  const server = createServer((socket) => {
    dialled += 1;
    socket.destroy();
  }).listen(port, '127.0.0.1');
  await once(server, 'listening');
  await new Promise((resolve) => setTimeout(resolve, 1_500)); // grpc-js tries again after a second
  server.close();
  expect(dialled).toBe(0);
});
