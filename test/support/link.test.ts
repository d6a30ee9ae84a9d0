/** The instrument of the fault tests, tried by itself: a link that lies would prove nothing. */
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { systemClock } from '../../core/clock.ts';
import { eventually } from './eventually.ts';
import { linkTo, type Link } from './link.ts';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** A server that sends back what it gets, behind a link, and a client of it. */
class Scene {
  readonly arrived: Buffer[] = [];
  readonly link: Link;
  readonly served: Buffer[];

  constructor(link: Link, served: Buffer[]) {
    this.link = link;
    this.served = served;
  }

  static async create(): Promise<Scene> {
    const served: Buffer[] = [];
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('data', (bytes: Buffer) => {
        served.push(bytes);
        socket.write(bytes);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    const link = await linkTo(`127.0.0.1:${address.port}`);
    closing.push(async () => {
      await link.close();
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    });
    return new Scene(link, served);
  }

  async client(): Promise<Socket> {
    const socket = connect(this.link.address.port, this.link.address.host);
    socket.on('error', () => undefined);
    socket.on('data', (bytes: Buffer) => this.arrived.push(bytes));
    closing.push(() => socket.destroy());
    await new Promise((resolve) => socket.once('connect', resolve).once('close', resolve));
    return socket;
  }

  get echo(): string {
    return Buffer.concat(this.arrived).toString();
  }

  get seen(): string {
    return Buffer.concat(this.served).toString();
  }
}

test('LK1: delayed bytes arrive later and in order, each direction by its own delay', async () => {
  const scene = await Scene.create();
  const socket = await scene.client();
  scene.link.requests.delayMs = 60;
  const sentMs = systemClock.monotonicMs();
  socket.write('a');
  await systemClock.sleep(20);
  scene.link.requests.delayMs = 0; // what follows still waits its turn
  socket.write('b');
  expect(scene.seen).toBe('');
  await eventually('the echo', 1_000, () => scene.echo === 'ab');
  expect(systemClock.monotonicMs() - sentMs).toBeGreaterThanOrEqual(59);
  scene.link.replies.delayMs = 50;
  socket.write('c');
  await eventually('the request', 1_000, () => scene.seen === 'abc');
  await eventually('the reply', 1_000, () => scene.echo === 'abc');
});

test('LK2, LK3: in a black hole connections stay open and silent; mended, those that lost bytes are reset', async () => {
  const scene = await Scene.create();
  const socket = await scene.client();
  const spared = await scene.client();
  scene.link.blackHole = true;
  socket.write('a');
  const late = await scene.client(); // accepted all the same
  late.write('b');
  await systemClock.sleep(50);
  expect([scene.seen, scene.echo, socket.destroyed, late.destroyed]).toEqual(['', '', false, false]);
  scene.link.blackHole = false;
  await eventually('both are reset', 1_000, () => socket.destroyed && late.destroyed);
  spared.write('c');
  await eventually('the other goes on', 1_000, () => scene.echo === 'c');
});

test('one direction alone is deaf: requests arrive and their answers do not, or the other way round', async () => {
  const scene = await Scene.create();
  const socket = await scene.client();
  scene.link.replies.blackHole = true;
  socket.write('a');
  await eventually('the request', 1_000, () => scene.seen === 'a');
  scene.link.replies.blackHole = false;
  await eventually('the reset', 1_000, () => socket.destroyed);
  expect(scene.echo).toBe('');
  const next = await scene.client();
  scene.link.requests.blackHole = true;
  next.write('b');
  await systemClock.sleep(30);
  expect(scene.seen).toBe('a');
});

test('requests are named as they pass, however they are cut, and one client alone can be cut off', async () => {
  const scene = await Scene.create();
  const named: string[] = [];
  scene.link.onRequest = (apiKey, clientId) => named.push(`${apiKey} ${clientId}`);
  const request = (apiKey: number, clientId: string): Buffer => {
    const body = Buffer.alloc(14 + clientId.length + 5);
    body.writeInt32BE(body.length - 4, 0);
    body.writeInt16BE(apiKey, 4);
    body.writeInt16BE(clientId.length, 12);
    body.write(clientId, 14);
    return body;
  };
  const [one, other] = [await scene.client(), await scene.client()];
  const bytes = Buffer.concat([request(11, 'one'), request(12, 'one')]);
  for (const byte of bytes) one.write(Buffer.from([byte]));
  other.write(Buffer.concat([request(0, 'other'), request(1, 'other')]));
  await eventually('four names', 1_000, () => named.length === 4);
  expect(named.toSorted()).toEqual(['0 other', '1 other', '11 one', '12 one']);
  await eventually('all of it', 1_000, () => scene.served.reduce((sum, part) => sum + part.length, 0) === 92);
  scene.link.deafTo = (clientId) => clientId === 'one';
  one.write('lost');
  other.write('kept');
  await eventually('the other’s', 1_000, () => scene.seen.endsWith('kept'));
  expect(scene.seen).not.toContain('lost');
  scene.link.deafTo = () => false;
  scene.link.mend();
  await eventually('the one is reset', 1_000, () => one.destroyed);
});

test('down refuses, reset ends everything', async () => {
  const scene = await Scene.create();
  const socket = await scene.client();
  scene.link.down = true;
  const refused = await scene.client();
  await eventually('refused', 1_000, () => refused.destroyed);
  scene.link.reset();
  await eventually('reset', 1_000, () => socket.destroyed);
  expect(scene.link.accepted).toBe(2);
});
