import { type Socket } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import { PeerConnection, type PeerConnectionEnd } from '../../../core/kafka/peer-connection.ts';
import { BlackHole } from '../../support/black-hole.ts';
import { eventually } from '../../support/eventually.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { freePort } from '../../support/free-port.ts';
import { isSilent, says, saysAndHangsUp, ScriptedPeer } from '../../support/scripted-peer.ts';

class Scene {
  readonly clock = new FakeClock();
  readonly said: string[] = [];
  readonly stop = new AbortController();
  end: PeerConnectionEnd | undefined;
  connection: PeerConnection | undefined;
  running: Promise<void> | undefined;
  peer: ScriptedPeer | undefined;

  /** Connects to a peer that meets every connection with `script`. */
  async meets(script: (socket: Socket) => void): Promise<ScriptedPeer> {
    this.peer = await ScriptedPeer.start(script);
    this.connectTo('127.0.0.1', this.peer.port);
    return this.peer;
  }

  connectTo(host: string, port: number): void {
    this.connection = new PeerConnection({
      host,
      port,
      clock: this.clock,
      onLine: (line) => this.said.push(`${line.incarnation}/${line.memberId}`),
      onNudge: () => this.said.push('nudge'),
    });
    this.running = this.connection.run(this.stop.signal).then((end) => void (this.end = end));
  }

  async saysSo(...said: string[]): Promise<void> {
    await eventually(`says ${said.join(', ')}`, 5_000, () => this.said.length >= said.length);
    expect(this.said).toEqual(said);
  }

  async ends(): Promise<PeerConnectionEnd> {
    return eventually('ends', 5_000, () => this.end);
  }
}

let scene: Scene;
afterEach(async () => {
  scene.stop.abort();
  await scene.running;
  await scene.peer?.close();
  expect(scene.clock.armed).toBe(0);
});

describe('how it ends', () => {
  test('refused, where nobody listens (PN1)', async () => {
    scene = new Scene();
    scene.connectTo('127.0.0.1', await freePort());
    expect(await scene.ends()).toEqual({ kind: 'refused' });
  });

  test('unreached, where a name cannot be resolved, or not in time', async () => {
    scene = new Scene();
    scene.connectTo('nowhere.invalid', 4_000);
    await scene.clock.advance(1_000);
    expect(await scene.ends()).toEqual({ kind: 'unreached' });
  });

  test('unreached, where the connect is not answered in time', async () => {
    const hole = await BlackHole.open();
    try {
      await hole.fill();
      scene = new Scene();
      scene.connectTo('127.0.0.1', hole.port);
      await new Promise((resolve) => setTimeout(resolve, 100));
      await scene.clock.advance(999);
      expect(scene.end).toBeUndefined();
      await scene.clock.advance(1);
      expect(await scene.ends()).toEqual({ kind: 'unreached' });
    } finally {
      await hole.close();
    }
  }, 30_000);

  test.each(['FIN', 'RST'])('ended with a %s, and says to which IP address the name had led', async (how) => {
    scene = new Scene();
    const peer = (scene.peer = await ScriptedPeer.start(says('i-1 m-1\n')));
    scene.connectTo('localhost', peer.port);
    await scene.saysSo('i-1/m-1');
    if (how === 'FIN') peer.sockets[0]!.end();
    else peer.sockets[0]!.resetAndDestroy();
    expect(await scene.ends()).toEqual({ kind: 'ended', ip: '127.0.0.1' });
  });

  test('dropped by its signal, also by one that is aborted already', async () => {
    scene = new Scene();
    const peer = await scene.meets(isSilent);
    await eventually('accepted', 5_000, () => peer.sockets.length === 1);
    scene.stop.abort();
    expect(await scene.ends()).toEqual({ kind: 'dropped' });
    scene.end = undefined;
    scene.connectTo('127.0.0.1', peer.port);
    expect(await scene.ends()).toEqual({ kind: 'dropped' });
    expect(peer.sockets).toHaveLength(1);
  });

  test('not at all while the peer is silent: the time limit is for connecting', async () => {
    scene = new Scene();
    const peer = await scene.meets(isSilent);
    await eventually('connected', 5_000, () => peer.sockets.length === 1 && scene.clock.armed === 0);
    await scene.clock.advance(3_600_000);
    expect([scene.said, scene.end]).toEqual([[], undefined]);
  });
});

describe('what is read', () => {
  test('a line in pieces, and nudges right behind it and later', async () => {
    scene = new Scene();
    const peer = await scene.meets((socket) => {
      socket.setNoDelay(true);
      socket.write('i-1 cli');
    });
    await eventually('accepted', 5_000, () => peer.sockets.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 30));
    peer.sockets[0]!.write('ent-1\n.');
    await scene.saysSo('i-1/client-1', 'nudge');
    peer.sockets[0]!.write('.');
    await scene.saysSo('i-1/client-1', 'nudge', 'nudge');
  });

  test('a line that arrives together with the end', async () => {
    scene = new Scene();
    await scene.meets(saysAndHangsUp('i-1 m-1\n'));
    expect(await scene.ends()).toEqual({ kind: 'ended', ip: '127.0.0.1' });
    expect(scene.said).toEqual(['i-1/m-1']);
  });

  const hostile: readonly [what: string, text: string, said: string[]][] = [
    ['a line that is none', 'HTTP/1.1\n', []],
    ['an empty line', '\n', []],
    ['a line of 10 KB', `i-1 ${'m'.repeat(10_240)}\n`, []],
    ['megabytes without a line feed', 'x'.repeat(8_000_000), []],
    ['a line and megabytes behind it', `i-1 m-1\n${'x'.repeat(8_000_000)}`, ['i-1/m-1']],
  ];
  test.each(hostile)('%s: it is let go (PN2)', async (_what, text, said) => {
    scene = new Scene();
    await scene.meets(says(text));
    expect(await scene.ends()).toEqual({ kind: 'dropped' });
    expect(scene.said.filter((word) => word !== 'nudge')).toEqual(said);
  });

  test('the longest line is read, one byte more is not', async () => {
    const longest = `i-1 ${'m'.repeat(507)}\n`;
    expect(longest).toHaveLength(512);
    scene = new Scene();
    await scene.meets(says(longest));
    await scene.saysSo(`i-1/${'m'.repeat(507)}`);
    await scene.peer!.close();
    await scene.running;
    scene = new Scene();
    await scene.meets(says(longest.replace('\n', 'm\n')));
    expect(await scene.ends()).toEqual({ kind: 'dropped' });
  });
});

test('a nudge is one byte, and before the connection is there it is nothing', async () => {
  scene = new Scene();
  const peer = await scene.meets(says('i-1 m-1\n'));
  scene.connection!.nudge();
  await scene.saysSo('i-1/m-1');
  scene.connection!.nudge();
  await eventually('received', 5_000, () => peer.sockets[0]!.bytesRead === 1);
});
