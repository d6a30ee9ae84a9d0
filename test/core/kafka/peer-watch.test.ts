import dns from 'node:dns';
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { PeerWatch } from '../../../core/kafka/peer-watch.ts';
import { seededRandom } from '../../../core/random.ts';
import { BlackHole } from '../../support/black-hole.ts';
import { eventually } from '../../support/eventually.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { freePort } from '../../support/free-port.ts';
import { hangsUp, isSilent, type PeerScript, says, saysAndHangsUp, ScriptedPeer } from '../../support/scripted-peer.ts';

const namesItself = says('inc-1 m-1\n');

/** A watch of member m-1, incarnation inc-1, over real sockets in virtual time. */
class Scene {
  readonly clock = new FakeClock();
  readonly said: string[] = [];
  peer!: ScriptedPeer;
  watch!: PeerWatch;
  running: Promise<void> = Promise.resolve();

  async meets(...scripts: PeerScript[]): Promise<this> {
    this.peer = await ScriptedPeer.start(...scripts);
    this.begin(this.peer.port);
    return this;
  }

  begin(port: number, host = '127.0.0.1'): void {
    this.watch = new PeerWatch({
      memberId: 'm-1',
      incarnation: 'inc-1',
      host,
      port,
      clock: this.clock,
      random: seededRandom(1),
      onGone: (evidence) => this.said.push(`gone ${evidence}`),
      onEnded: () => this.said.push('ended'),
      onNudge: () => this.said.push('nudge'),
    });
    this.running = this.watch.run();
  }

  async counts(): Promise<void> {
    await eventually('the connection counts', 5_000, () => this.watch.counts);
  }

  async accepts(connections: number): Promise<void> {
    await eventually(`${connections} connections`, 5_000, () => this.peer.sockets.length >= connections);
    expect(this.peer.sockets).toHaveLength(connections);
  }

  async says(...said: string[]): Promise<void> {
    await eventually(said.join(', '), 5_000, () => this.said.length >= said.length);
    expect(this.said).toEqual(said);
  }

  /** Lets time pass, with the sockets keeping up. */
  async pass(ms: number, stepMs = 10): Promise<void> {
    for (let passedMs = 0; passedMs < ms; passedMs += stepMs) {
      await this.clock.advance(stepMs);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }
}

let scene: Scene;
afterEach(async () => {
  scene.watch.close();
  await scene.running;
  await (scene.peer as ScriptedPeer | undefined)?.close();
  expect(scene.clock.armed).toBe(0);
});

describe('both pieces of evidence (PW1, O13)', () => {
  test.each(['FIN', 'RST'] as const)(
    'its connection ends with a %s and the next is refused: gone, at once',
    async (how) => {
      scene = await new Scene().meets(namesItself);
      await scene.counts();
      scene.peer.refuse();
      if (how === 'FIN') scene.peer.sockets[0]!.end();
      else scene.peer.sockets[0]!.resetAndDestroy();
      await scene.says('ended', 'gone refused'); // no time has passed
      await scene.running;
    },
  );

  test('a dying process closes its listener last: accepted, ended without a line, then refused', async () => {
    scene = await new Scene().meets(namesItself, hangsUp);
    await scene.counts();
    scene.peer.sockets[0]!.destroy();
    await scene.accepts(2);
    await scene.pass(100);
    expect(scene.said).toEqual(['ended']);
    scene.peer.refuse();
    await scene.pass(50);
    await scene.says('ended', 'gone refused');
  });

  test('another incarnation answers: gone', async () => {
    scene = await new Scene().meets(namesItself, says('inc-2 m-2\n'));
    await scene.counts();
    scene.peer.sockets[0]!.destroy();
    await scene.says('ended', 'gone other-incarnation');
  });

  test('the connection was merely cut: the same incarnation answers, and counts again, until it is really gone', async () => {
    scene = await new Scene().meets(namesItself);
    for (let cuts = 1; cuts <= 3; cuts += 1) {
      await scene.counts();
      scene.peer.sockets[cuts - 1]!.destroy();
      await scene.accepts(cuts + 1);
      await scene.pass(2_000, 100);
    }
    await scene.counts();
    expect(scene.said).toEqual(['ended', 'ended', 'ended']);
    scene.peer.refuse();
    scene.peer.sockets[3]!.destroy();
    await scene.says('ended', 'ended', 'ended', 'ended', 'gone refused');
  });

  test('PW3: `gone` is said once, and nobody connects to that address again', async () => {
    scene = await new Scene().meets(namesItself, says('inc-2 m-2\n'));
    await scene.counts();
    scene.peer.sockets[0]!.destroy();
    await scene.says('ended', 'gone other-incarnation');
    await scene.running;
    await scene.pass(20_000, 1_000);
    expect(scene.said).toEqual(['ended', 'gone other-incarnation']);
    expect(scene.peer.sockets).toHaveLength(2);
  });
});

describe('what proves nothing (PW1)', () => {
  test('a refusal where no connection counted before', async () => {
    scene = new Scene();
    scene.begin(await freePort());
    await scene.pass(30_000, 500);
    expect(scene.said).toEqual([]);
  });

  const noEvidence: readonly [what: string, first: PeerScript][] = [
    ['that named another member id', says('inc-1 m-2\n')],
    ['that named another incarnation', says('inc-2 m-1\n')],
    ['that named nobody', isSilent],
    ['that said something else', says('HTTP/1.1 200 OK\r\n')],
    ['that said the line without its end', says('inc-1 m-1')],
  ];
  test.each(noEvidence)('the end of a connection %s, followed by refusals', async (_what, first) => {
    scene = await new Scene().meets(first);
    await scene.accepts(1);
    await scene.pass(50);
    expect(scene.watch.counts).toBe(false);
    scene.peer.refuse();
    scene.peer.sockets[0]!.destroy();
    await scene.pass(10_000, 100);
    expect(scene.said).toEqual([]);
  });

  test('another member id of the same process in an inquiry: it waits, and the end of that one is no evidence', async () => {
    scene = await new Scene().meets(namesItself, says('inc-1 m-2\n'));
    await scene.counts();
    scene.peer.sockets[0]!.destroy();
    await scene.accepts(2);
    await scene.pass(2_000, 100);
    expect([scene.said, scene.watch.counts]).toEqual([['ended'], false]);
    scene.peer.refuse();
    scene.peer.sockets[1]!.destroy();
    await scene.pass(10_000, 100);
    expect(scene.said).toEqual(['ended']);
  });

  test('a silent accept after the end, as of a stopped process: the inquiry is over, whoever speaks up later', async () => {
    scene = await new Scene().meets(namesItself, isSilent);
    await scene.counts();
    scene.peer.sockets[0]!.destroy();
    await scene.accepts(2);
    await scene.pass(300);
    scene.peer.sockets[1]!.write('inc-2 m-2\n');
    await scene.pass(50);
    scene.peer.refuse();
    scene.peer.sockets[1]!.destroy();
    await scene.pass(10_000, 100);
    expect(scene.said).toEqual(['ended']);
  });

  test('resets after the accept, and a refusal that comes later than 250 ms', async () => {
    scene = await new Scene().meets(namesItself, hangsUp);
    await scene.counts();
    scene.peer.sockets[0]!.destroy();
    await scene.pass(400);
    const attempts = scene.peer.sockets.length - 1;
    expect(attempts).toBeGreaterThan(5); // one in 15 ms
    expect(attempts).toBeLessThanOrEqual(19);
    scene.peer.refuse();
    await scene.pass(20_000, 200);
    expect(scene.said).toEqual(['ended']);
  });

  test('control: a connect that is not answered, however often', async () => {
    const hole = await BlackHole.open('inc-1 m-1\n');
    try {
      scene = new Scene();
      scene.begin(hole.port);
      await scene.counts();
      await hole.fill();
      hole.cut();
      await scene.says('ended');
      for (let attempt = 0; attempt < 3; attempt += 1) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        expect(scene.clock.armed).toBe(1); // the time limit of a connect that nobody answers
        await scene.pass(1_000, 250); // it is over
        await scene.pass(500, 100); // back-off
      }
      expect(scene.said).toEqual(['ended']);
      scene.watch.close();
      await scene.running;
    } finally {
      await hole.close();
    }
  }, 30_000);

  test('control: a peer that accepts and never says a word, for an hour', async () => {
    scene = await new Scene().meets(isSilent);
    await scene.accepts(1);
    await scene.pass(3_600_000, 60_000);
    expect([scene.said, scene.peer.sockets.length]).toEqual([[], 1]);
  });
});

test('PW2: an inquiry goes to the address of the connection that ended, whatever has become of its name', async () => {
  scene = new Scene();
  scene.peer = await ScriptedPeer.start(namesItself);
  let lookups = 0;
  const lookup = jest.spyOn(dns, 'lookup').mockImplementation(((
    _name: string,
    _options: object,
    answer: (error: Error | null, found?: readonly dns.LookupAddress[]) => void,
  ) => {
    lookups += 1;
    if (lookups === 1) answer(null, [{ address: '127.0.0.1', family: 4 }]);
    else answer(new Error('no such name'));
  }) as typeof dns.lookup);
  try {
    scene.begin(scene.peer.port, 'worker.example');
    await scene.counts();
    scene.peer.refuse();
    scene.peer.sockets[0]!.destroy();
    await scene.says('ended', 'gone refused');
    expect(lookups).toBe(1);
  } finally {
    lookup.mockRestore();
  }
});

describe('how often it tries', () => {
  test('a peer that hangs up at once is tried with pauses of 100 ms to 5 s', async () => {
    scene = await new Scene().meets(hangsUp);
    await scene.pass(1_000);
    const early = scene.peer.sockets.length;
    expect(early).toBeGreaterThanOrEqual(3);
    expect(early).toBeLessThanOrEqual(6);
    await scene.pass(60_000, 100);
    const late = scene.peer.sockets.length - early;
    expect(late).toBeGreaterThanOrEqual(9);
    expect(late).toBeLessThanOrEqual(26);
  }, 30_000);

  test('a peer that names itself and hangs up is not asked without end', async () => {
    scene = await new Scene().meets(saysAndHangsUp('inc-1 m-1\n'));
    await scene.pass(60_000, 100);
    expect(scene.peer.sockets.length).toBeGreaterThan(9);
    expect(scene.peer.sockets.length).toBeLessThanOrEqual(60);
    expect(scene.said.every((word) => word === 'ended')).toBe(true);
  }, 30_000);

  test('a connection that held a second ends the growth of the pauses', async () => {
    scene = await new Scene().meets(...Array.from({ length: 8 }, () => hangsUp), isSilent, hangsUp);
    await scene.pass(40_000, 100);
    await scene.accepts(9);
    scene.peer.sockets[8]!.destroy();
    await scene.pass(200);
    await scene.accepts(10);
  }, 30_000);
});

describe('`close`', () => {
  test.each<[when: string, scripts: PeerScript[], ms: number]>([
    ['while it connects', [isSilent], 0],
    ['while the peer is silent', [isSilent], 50],
    ['in a pause', [hangsUp], 50],
    ['while the connection counts', [namesItself], 50],
  ])('%s ends the watch and leaves nothing', async (_when, scripts, ms) => {
    scene = await new Scene().meets(...scripts);
    await scene.pass(ms);
    scene.watch.close();
    scene.watch.close();
    await scene.running;
    expect([scene.said, scene.watch.counts, scene.clock.armed]).toEqual([[], false, 0]);
  });

  test('in an inquiry: what it would have found is not said', async () => {
    scene = await new Scene().meets(namesItself, hangsUp);
    await scene.counts();
    scene.peer.sockets[0]!.destroy();
    await scene.accepts(2);
    scene.peer.refuse();
    scene.watch.close();
    await scene.pass(300);
    expect(scene.said).toEqual(['ended']);
  });
});

test('nudges go both ways on the connection', async () => {
  scene = await new Scene().meets(namesItself);
  await scene.counts();
  scene.peer.sockets[0]!.write('.');
  await scene.says('nudge');
  scene.watch.nudge();
  await eventually('it arrives', 5_000, () => scene.peer.sockets[0]!.bytesRead === 1);
});
