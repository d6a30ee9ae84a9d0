import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import { listen } from '../../../core/listen-address.ts';
import { PeerServer } from '../../../core/kafka/peer-server.ts';
import { createLogger } from '../../../core/logger.ts';
import { eventually } from '../../support/eventually.ts';
import { FakeClock } from '../../support/fake-clock.ts';

/** One that connected to it: what it was told, and whether it was let go. */
class Visitor {
  readonly socket: Socket;
  said = '';
  ended = false;

  constructor(port: number) {
    this.socket = connect({ host: '127.0.0.1', port });
    this.socket.on('error', () => undefined);
    this.socket.on('data', (bytes) => (this.said += bytes.toString()));
    this.socket.on('close', () => (this.ended = true));
  }

  async hears(text: string): Promise<void> {
    await eventually(`hears ${JSON.stringify(text)}`, 5_000, () => this.said === text);
  }

  async isLetGo(): Promise<void> {
    await eventually('is let go', 5_000, () => this.ended);
  }
}

class Scene {
  readonly clock = new FakeClock();
  readonly lines: string[] = [];
  readonly visitors: Visitor[] = [];
  nudges = 0;
  readonly server: PeerServer;

  constructor(where = '127.0.0.1:0') {
    this.server = new PeerServer({
      listen: where,
      advertisedHost: '127.0.0.1',
      incarnation: 'inc-1',
      clock: this.clock,
      logger: createLogger({
        level: 'debug',
        format: 'json',
        destination: { write: (line) => void this.lines.push(line) },
      }),
      onNudge: () => (this.nudges += 1),
    });
  }

  async started(memberId = 'm-1'): Promise<this> {
    await this.server.start();
    this.server.identify(memberId);
    return this;
  }

  async visitor(): Promise<Visitor> {
    const visitor = new Visitor(Number(this.server.address.split(':')[1]));
    this.visitors.push(visitor);
    await once(visitor.socket, 'connect');
    return visitor;
  }
}

let scene: Scene;
afterEach(async () => {
  for (const { socket } of scene.visitors) socket.destroy();
  await scene.server.stop();
  expect(scene.clock.armed).toBe(0);
});

describe('what is told (PS1)', () => {
  test('one line to each that connects, and nothing after it', async () => {
    scene = await new Scene().started();
    expect(scene.server.address).toMatch(/^127\.0\.0\.1:[1-9]\d*$/);
    const [first, second] = [await scene.visitor(), await scene.visitor()];
    await first.hears('inc-1 m-1\n');
    await second.hears('inc-1 m-1\n');
    scene.server.identify('m-1');
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect([first.said, first.ended]).toEqual(['inc-1 m-1\n', false]);
    expect(scene.lines).toEqual([]);
  });

  test('nothing as long as there is no member id: the connection waits, un-nudged, and is not made again', async () => {
    scene = await new Scene().started('');
    const visitor = await scene.visitor();
    await new Promise((resolve) => setTimeout(resolve, 50));
    scene.server.nudge(); // would be part of the line
    scene.server.identify('m-7');
    await visitor.hears('inc-1 m-7\n');
    expect(visitor.ended).toBe(false);
  });

  test('another member id ends all that were told the old one; who comes back reads the new one', async () => {
    scene = await new Scene().started();
    const visitors = [await scene.visitor(), await scene.visitor()];
    for (const visitor of visitors) await visitor.hears('inc-1 m-1\n');
    scene.server.identify('m-2');
    for (const visitor of visitors) await visitor.isLetGo();
    await (await scene.visitor()).hears('inc-1 m-2\n');
    scene.server.identify(''); // no member any more
    await scene.visitors[2]!.isLetGo();
    const waiting = await scene.visitor();
    scene.server.identify('m-3');
    await waiting.hears('inc-1 m-3\n');
  });

  test('a nudge is one byte to each', async () => {
    scene = await new Scene().started();
    const visitors = [await scene.visitor(), await scene.visitor()];
    for (const visitor of visitors) await visitor.hears('inc-1 m-1\n');
    scene.server.nudge();
    for (const visitor of visitors) await visitor.hears('inc-1 m-1\n.');
  });
});

describe('what a hostile peer gets (PS2)', () => {
  test('any byte is a nudge; more than some hundred in a second end the connection', async () => {
    scene = await new Scene().started();
    const visitor = await scene.visitor();
    visitor.socket.write('x');
    await eventually('nudged', 5_000, () => scene.nudges === 1);
    visitor.socket.write('y'.repeat(511));
    await eventually('nudged again', 5_000, () => scene.nudges > 1);
    expect(visitor.ended).toBe(false);
    visitor.socket.write('z');
    await visitor.isLetGo();
  });

  test.each([
    ['a line of 10 KB', `${'a'.repeat(10_240)}\n`],
    ['megabytes without a line feed', 'b'.repeat(8_000_000)],
  ])('%s ends the connection of who sent it and no other', async (_what, text) => {
    scene = await new Scene().started();
    const [hostile, other] = [await scene.visitor(), await scene.visitor()];
    hostile.socket.write(text);
    await hostile.isLetGo();
    await other.hears('inc-1 m-1\n');
    expect(other.ended).toBe(false);
  });

  test('of 300 connections 256 are kept, the others accepted and closed; a place that becomes free is taken', async () => {
    scene = await new Scene().started();
    const visitors: Visitor[] = [];
    for (let count = 0; count < 300; count += 1) visitors.push(await scene.visitor());
    await eventually('44 are let go', 10_000, () => visitors.filter(({ ended }) => ended).length === 44);
    const kept = visitors.filter(({ ended }) => !ended);
    for (const visitor of kept) await visitor.hears('inc-1 m-1\n');
    kept[0]!.socket.destroy();
    await eventually('there is a place', 5_000, async () => {
      const late = await scene.visitor();
      await new Promise((resolve) => setTimeout(resolve, 20));
      return late.said === 'inc-1 m-1\n';
    });
  }, 30_000);
});

describe('its beginning and end', () => {
  test.each(['taken', 'nonsense'])(
    'a listener that cannot be opened (%s) leaves no address and one warning',
    async (how) => {
      const other = createServer();
      const port = await listen(other, { host: '127.0.0.1', port: 0 });
      scene = new Scene(how === 'taken' ? `127.0.0.1:${port}` : 'no address');
      await scene.server.start();
      expect(scene.server.address).toBe('');
      expect(scene.lines.map((line) => (JSON.parse(line) as { level: string }).level)).toEqual(['warn']);
      scene.server.identify('m-1');
      scene.server.nudge();
      await scene.server.stop();
      await new Promise((resolve) => other.close(resolve));
    },
  );

  test('PS3: `stop` ends connections and listener; it may be called twice, before `start`, and while that is under way', async () => {
    scene = await new Scene().started();
    const visitor = await scene.visitor();
    const stopping = scene.server.stop();
    expect(scene.server.stop()).toBe(stopping);
    await stopping;
    await visitor.isLetGo();
    const refused = connect({ host: '127.0.0.1', port: Number(scene.server.address.split(':')[1]) });
    expect(await once(refused, 'error')).toMatchObject([{ code: 'ECONNREFUSED' }]);

    const unstarted = new Scene();
    await unstarted.server.stop();
    await unstarted.server.start();
    expect(unstarted.server.address).toBe('');

    const starting = new Scene();
    void starting.server.start();
    await starting.server.stop(); // a listener left behind would be reported as a leak
  });
});
