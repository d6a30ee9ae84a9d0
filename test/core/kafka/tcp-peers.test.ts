import { createServer, type Server } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import { systemClock } from '../../../core/clock.ts';
import { type Peer } from '../../../core/kafka/peers.ts';
import { TcpPeers } from '../../../core/kafka/tcp-peers.ts';
import { listen } from '../../../core/listen-address.ts';
import { createLogger } from '../../../core/logger.ts';
import { seededRandom } from '../../../core/random.ts';
import { eventually } from '../../support/eventually.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { type Link, linkTo } from '../../support/link.ts';
import { PeerProcess } from '../../support/peer-process.ts';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A worker's peers, and what they told it. */
class Worker {
  readonly incarnation: string;
  readonly memberId: string;
  readonly said: string[] = [];
  readonly lines: string[] = [];
  /** When something was said, on the system's monotonic clock. */
  saidAtMs = 0;
  readonly peers: TcpPeers;

  constructor(number: number, clock = systemClock, where = '127.0.0.1:0') {
    this.incarnation = `inc-${number}`;
    this.memberId = `m-${number}`;
    this.peers = new TcpPeers({
      listen: where,
      advertisedHost: '127.0.0.1',
      incarnation: this.incarnation,
      clock,
      random: seededRandom(number),
      logger: createLogger({
        level: 'debug',
        format: 'json',
        destination: { write: (line) => void this.lines.push(line) },
      }),
    });
    closers.push(() => this.peers.stop());
  }

  async started(): Promise<this> {
    await this.peers.start({ gone: (memberId) => this.hear(`gone ${memberId}`), nudged: () => this.hear('nudged') });
    this.peers.identify(this.memberId);
    return this;
  }

  hear(what: string): void {
    this.saidAtMs = systemClock.monotonicMs();
    this.said.push(what);
  }

  get peer(): Peer {
    return { memberId: this.memberId, incarnation: this.incarnation, address: this.peers.address };
  }

  async watches(...peers: Peer[]): Promise<this> {
    this.peers.watch(peers);
    await this.countsWatched(peers.length);
    return this;
  }

  async countsWatched(count: number): Promise<void> {
    await eventually(`${count} are watched`, 10_000, () => this.peers.counters.watched() === count);
  }

  async says(...said: string[]): Promise<void> {
    await eventually(said.join(', '), 10_000, () => this.said.length >= said.length);
    expect(this.said).toEqual(said);
  }

  get levels(): string[] {
    return this.lines.map((line) => (JSON.parse(line) as { level: string }).level);
  }
}

async function processOf(number: number): Promise<PeerProcess> {
  const started = await PeerProcess.start(`inc-${number}`, `m-${number}`);
  closers.push(() => started.close());
  return started;
}

async function linkBefore(peer: Peer): Promise<{ link: Link; through: Peer }> {
  const link = await linkTo(peer.address);
  closers.push(() => link.close());
  return { link, through: { ...peer, address: `${link.address.host}:${link.address.port}` } };
}

describe('a process that is gone (PP1, O13)', () => {
  test('killed: told within some milliseconds, once, and of that one only', async () => {
    const [victim, other] = [await processOf(2), await processOf(3)];
    const worker = await (await new Worker(1).started()).watches(victim.peer, other.peer);
    const killedAtMs = systemClock.monotonicMs();
    victim.signal('SIGKILL');
    await worker.says('gone m-2');
    expect(worker.saidAtMs - killedAtMs).toBeLessThan(400); // mostly the kernel freeing its memory
    await pause(300);
    expect(worker.said).toEqual(['gone m-2']);
    expect(worker.peers.counters).toMatchObject({ ended: 1, gone: 1 });
    expect(worker.levels).toEqual(['info']);
    await worker.countsWatched(1);
  }, 60_000);

  test('stopped by itself: its listener is closed, so that nobody waits for its session to end', async () => {
    const victim = await new Worker(2).started();
    const worker = await (await new Worker(1).started()).watches(victim.peer);
    await victim.peers.stop();
    await worker.says('gone m-2');
  });

  test('frozen: nothing is told, even if the connection is cut meanwhile; thawed it counts again; killed it is gone', async () => {
    const victim = await processOf(2);
    const { link, through } = await linkBefore(victim.peer);
    const [direct, indirect] = [await new Worker(1).started(), await new Worker(3).started()];
    await Promise.all([direct.watches(victim.peer), indirect.watches(through)]);
    victim.signal('SIGSTOP');
    await pause(500);
    link.cut();
    await pause(1_000);
    expect([direct.said, indirect.said, indirect.peers.counters.ended]).toEqual([[], [], 1]);
    expect(indirect.peers.counters.watched()).toBe(0); // the kernel accepts for it, and says nothing
    victim.signal('SIGCONT');
    await indirect.countsWatched(1);
    victim.signal('SIGKILL');
    await direct.says('gone m-2');
    await pause(300);
    expect(indirect.said).toEqual([]); // the proxy accepts on its behalf
  }, 60_000);
});

describe('a process that is not', () => {
  test('a connection cut by a proxy that still accepts: watched again, whether it passes connections on or not', async () => {
    const victim = await new Worker(2).started();
    const { link, through } = await linkBefore(victim.peer);
    const worker = await (await new Worker(1).started()).watches(through);
    link.cut();
    await eventually('it ended', 5_000, () => worker.peers.counters.ended === 1);
    await worker.countsWatched(1);
    link.down = true; // accepts and closes
    link.cut();
    await pause(500);
    expect(worker.said).toEqual([]);
    link.down = false;
    await worker.countsWatched(1);
    expect([worker.said, victim.said]).toEqual([[], []]);
  });

  test('C9: a proxy that refuses, where no line of the process had come through it', async () => {
    const victim = await new Worker(2).started();
    const { link, through } = await linkBefore(victim.peer);
    link.swallowing = true;
    const worker = await new Worker(1).started();
    worker.peers.watch([through]);
    await pause(300);
    await link.close();
    await pause(500);
    expect(worker.said).toEqual([]);
  });

  test('another member id of the same process: who watched the old one is told nothing, and may watch the new one', async () => {
    const victim = await new Worker(2).started();
    const worker = await (await new Worker(1).started()).watches(victim.peer);
    victim.peers.identify('m-9');
    await eventually('it ended', 5_000, () => worker.peers.counters.ended === 1);
    await pause(400);
    expect([worker.said, worker.peers.counters.watched()]).toEqual([[], 0]);
    await worker.watches({ ...victim.peer, memberId: 'm-9' });
    await victim.peers.stop();
    await worker.says('gone m-9');
  });
});

describe('who is watched', () => {
  test('exactly the given ones: who stays keeps its connection, who is left out loses it', async () => {
    const [second, third] = [await new Worker(2).started(), await new Worker(3).started()];
    const worker = await (await new Worker(1).started()).watches(second.peer, third.peer);
    worker.peers.watch([{ ...third.peer }, { ...second.peer }]);
    expect(worker.peers.counters.watched()).toBe(2); // at once: no connection was made anew
    await worker.watches(third.peer);
    await second.peers.stop();
    await pause(100);
    expect(worker.said).toEqual([]);
    await worker.watches();
    expect(worker.peers.counters.ended).toBe(0); // those that we end do not count
  });

  test('not those without an address, or with one that is none', async () => {
    const worker = await new Worker(1).started();
    const addresses = ['', ':80', '127.0.0.1:0', 'nonsense', 'a:b:c', '127.0.0.1:99999'];
    worker.peers.watch(addresses.map((address, index) => ({ memberId: `m-${index}`, incarnation: 'i', address })));
    await pause(100);
    expect([worker.said, worker.lines, worker.peers.counters.watched()]).toEqual([[], [], 0]);
  });

  test('of 300 the first 256', async () => {
    const accepted: Server = createServer();
    let connections = 0;
    accepted.on('connection', (socket) => {
      connections += 1;
      socket.on('error', () => undefined).on('data', () => undefined);
    });
    const port = await listen(accepted, { host: '127.0.0.1', port: 0 });
    closers.push(() => new Promise((resolve) => accepted.close(resolve)));
    const worker = await new Worker(1).started();
    const address = `127.0.0.1:${port}`;
    worker.peers.watch(
      Array.from({ length: 300 }, (_, index) => ({ memberId: `m-${index}`, incarnation: 'i', address })),
    );
    await eventually('256 connections', 10_000, () => connections === 256);
    await pause(100);
    expect(connections).toBe(256);
  }, 30_000);

  test('a listener may watch, be told `gone`, and change the set while it is being told', async () => {
    const [second, third] = [await new Worker(2).started(), await new Worker(3).started()];
    const worker = new Worker(1);
    const gone = (memberId: string): void => {
      worker.hear(`gone ${memberId}`);
      worker.peers.watch([third.peer]);
    };
    await worker.peers.start({ gone, nudged: () => undefined });
    await worker.watches(second.peer, third.peer);
    await second.peers.stop();
    await worker.says('gone m-2');
    await worker.countsWatched(1);
  });
});

describe('nudges (PP2)', () => {
  test('go to those we watch and to those that watch us, and each is told once in 50 ms', async () => {
    const clock = new FakeClock();
    const [left, middle, right] = [1, 2, 3].map((number) => new Worker(number, clock)) as [Worker, Worker, Worker];
    for (const worker of [left, middle, right]) await worker.started();
    await left.watches(middle.peer);
    await middle.watches(right.peer);
    middle.peers.nudge();
    middle.peers.nudge(); // within 50 ms: dropped
    await left.says('nudged');
    await right.says('nudged');
    expect(middle.peers.counters.nudgesSent).toBe(1);

    left.peers.nudge();
    right.peers.nudge();
    await middle.says('nudged');
    await pause(50);
    expect(middle.peers.counters.nudgesReceived).toBe(1); // the other came within 50 ms
    await clock.advance(50);
    left.peers.nudge();
    await middle.says('nudged', 'nudged');
    expect([left.lines, middle.lines, right.lines]).toEqual([[], [], []]);
  });
});

describe('start and stop', () => {
  test('a port that is taken leaves no address and one warning; others are watched all the same', async () => {
    const other = await new Worker(2).started();
    const worker = await new Worker(1, systemClock, other.peers.address).started();
    expect([worker.peers.address, worker.levels]).toEqual(['', ['warn']]);
    await worker.watches(other.peer);
    await other.peers.stop();
    await worker.says('gone m-2');
  });

  test('PT1, PT2: nothing is told from `stop` on, nothing stays armed, and others see us gone only then', async () => {
    const clock = new FakeClock();
    const [worker, victim, watcher] = [new Worker(1, clock), new Worker(2), new Worker(3)];
    for (const each of [worker, victim, watcher]) await each.started();
    await worker.watches(victim.peer);
    worker.peers.watch([victim.peer, { ...watcher.peer, memberId: 'm-8' }]); // one that does not count
    await watcher.watches(worker.peer);
    const stopping = worker.peers.stop();
    expect(worker.peers.stop()).toBe(stopping);
    victim.peers.nudge();
    await Promise.all([stopping, victim.peers.stop()]);
    expect(clock.armed).toBe(0);
    await watcher.says('gone m-1');
    worker.peers.watch([watcher.peer]);
    worker.peers.nudge();
    await worker.peers.start({ gone: () => worker.hear('gone'), nudged: () => worker.hear('nudged') });
    await pause(100);
    expect([worker.said, clock.armed, worker.peers.counters.watched()]).toEqual([[], 0, 0]);
  });

  test('`stop` before `start`, and while `start` is under way', async () => {
    const unstarted = new Worker(1);
    await unstarted.peers.stop();
    expect((await unstarted.started()).peers.address).toBe('');
    const starting = new Worker(2);
    const started = starting.started();
    await starting.peers.stop();
    await started;
    expect(starting.lines).toEqual([]);
  });
});
