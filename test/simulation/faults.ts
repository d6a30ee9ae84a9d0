import { type Placement } from '../../schemas/ownership.ts';
import { type Random } from '../../core/random.ts';
import { type SimulatedWorker } from './simulated-worker.ts';
import { type World } from './world.ts';

/** What goes wrong in a schedule: to processes, their clocks and their ways to Kafka, and to the brokers. */
export interface Fault {
  readonly name: string;
  readonly weight: number;
  /** False: it made no sense now. Returns how long it lasts otherwise. */
  begin(world: World, random: Random, worker: SimulatedWorker | undefined): number | false;
}

export const between = (random: Random, from: number, to: number): number => from + random.next() * (to - from);

/** Short mostly, long now and then: both sides of a lease. */
const pauseMs = (random: Random, { options }: World): number => {
  const { sessionTimeoutMs } = options.timers;
  return random.next() < 0.5
    ? between(random, 50, sessionTimeoutMs)
    : between(random, sessionTimeoutMs, 2.5 * sessionTimeoutMs);
};

/** A documented overlap: counted, not a violation. */
const excuse = (world: World, worker: SimulatedWorker, ms: number): void => {
  worker.excusedUntilMs = Math.max(worker.excusedUntilMs, world.time.nowMs + ms);
};

const restartLater = (world: World, random: Random, instance: string): number => {
  const afterMs = between(random, 10, 6_000);
  world.time.after(afterMs, () => {
    if (!world.alive.some((worker) => worker.instance === instance)) world.add(instance);
  });
  return afterMs;
};

const cut = (
  name: string,
  weight: number,
  set: (worker: SimulatedWorker, on: boolean, random: Random, world: World) => void,
): Fault => ({
  name,
  weight,
  begin(world, random, worker) {
    if (worker === undefined) return false;
    const lastsMs = pauseMs(random, world);
    set(worker, true, random, world);
    world.time.after(lastsMs, () => set(worker, false, random, world));
    return lastsMs;
  },
});

/** A part of Kafka answers nobody for a while. */
const away = (name: string, set: (world: World, untilMs: number) => void): Fault => ({
  name,
  weight: 1,
  begin(world, random) {
    const lastsMs = between(random, 100, 5_000);
    set(world, world.time.nowMs + lastsMs);
    return lastsMs;
  },
});

export const faults: readonly Fault[] = [
  {
    name: 'kill',
    weight: 5,
    begin(world, random, worker) {
      if (worker === undefined) return false;
      worker.kill();
      return random.next() < 0.8 ? restartLater(world, random, worker.instance) : 0;
    },
  },
  {
    name: 'stop',
    weight: 3,
    begin(world, random, worker) {
      if (worker === undefined || worker.stopping) return false;
      worker.stop();
      return random.next() < 0.8 ? restartLater(world, random, worker.instance) : 1_000;
    },
  },
  {
    name: 'stop-kill',
    weight: 1,
    begin(world, random, worker) {
      if (worker === undefined || worker.stopping) return false;
      worker.stop();
      world.time.after(between(random, 0, 400), () => worker.kill());
      return restartLater(world, random, worker.instance);
    },
  },
  {
    name: 'join',
    weight: 2,
    begin(world) {
      if (world.alive.length >= 7) return false;
      world.add(`extra-${world.workers.length}`);
      return 500;
    },
  },
  {
    name: 'freeze',
    weight: 4,
    begin(world, random, worker) {
      if (worker === undefined || worker.clock.isStill) return false;
      const lastsMs = pauseMs(random, world);
      worker.clock.freeze(false);
      world.time.after(lastsMs, () => {
        worker.clock.thaw();
        excuse(world, worker, 5 + worker.clock.lateMs); // its timers are due at once
      });
      return lastsMs;
    },
  },
  {
    name: 'suspend',
    weight: 2,
    begin(world, random, worker) {
      if (worker === undefined || worker.clock.isStill) return false;
      if (world.time.nowMs < worker.steppedAtMs + 2 * world.options.timers.heartbeatMs) return false;
      const lastsMs = pauseMs(random, world);
      const { heartbeatMs } = world.options.timers;
      worker.clock.freeze(true);
      world.time.after(lastsMs, () => {
        worker.clock.thaw();
        worker.pausedUntilMs = world.time.nowMs + 2 * heartbeatMs + worker.clock.lateMs;
        excuse(world, worker, heartbeatMs + 100 + worker.clock.lateMs);
      });
      return lastsMs;
    },
  },
  {
    name: 'late-timers',
    weight: 2,
    begin(world, random, worker) {
      if (worker === undefined) return false;
      const { guardMs } = world.options.timers;
      worker.clock.lateMs = random.next() < 0.6 ? between(random, 0, guardMs / 2) : between(random, guardMs, 3_000);
      const lastsMs = between(random, 500, 8_000);
      // A timer that was set late still fires late.
      const stalledMs = lastsMs + worker.clock.lateMs + 100;
      if (worker.clock.lateMs > guardMs / 2) worker.stalledUntilMs = world.time.nowMs + stalledMs;
      world.time.after(lastsMs, () => (worker.clock.lateMs = 0));
      return lastsMs;
    },
  },
  cut('cut-off', 3, ({ path }, on) => {
    path.cutIn = on;
    path.cutOut = on;
  }),
  cut('requests-vanish', 2, ({ path }, on) => (path.cutOut = on)),
  cut('answers-vanish', 2, ({ path }, on) => (path.cutIn = on)),
  {
    name: 'joins-vanish',
    weight: 2,
    begin(world, random, worker) {
      if (worker === undefined) return false;
      const lastsMs = between(random, 1_000, 1.5 * world.options.timers.rebalanceTimeoutMs);
      worker.path.joinsVanish = true;
      world.time.after(lastsMs, () => (worker.path.joinsVanish = false));
      return lastsMs;
    },
  },
  cut('reader-stalls', 2, ({ path }, on) => (path.readerStalls = on)),
  cut('late-batches', 2, ({ path }, on, random) => (path.batchDelayMs = on ? between(random, 200, 9_000) : 0)),
  cut('loss', 2, ({ path }, on, random) => (path.loss = on ? between(random, 0.05, 0.4) : 0)),
  {
    name: 'coordinator-crash',
    weight: 3,
    begin(world, random) {
      const electionMs = random.next() < 0.6 ? between(random, 5, 2_000) : between(random, 2_000, 8_000);
      world.crashCoordinator(electionMs, between(random, 0, 1_500));
      return electionMs + 1_500;
    },
  },
  {
    name: 'coordinator-superseded',
    weight: 3,
    begin(world, random, worker) {
      if (world.superseded !== null || world.current === null) return false;
      const lastsMs = between(random, 500, 15_000);
      world.supersede(between(random, 10, 3_000), between(random, 0, 1_000));
      for (const one of world.alive) if (random.next() < 0.3 || one === worker) one.path.cutFromCurrent = true;
      world.time.after(lastsMs, () => {
        world.endSuperseded();
        for (const one of world.workers) one.path.cutFromCurrent = false;
      });
      return lastsMs;
    },
  },
  {
    name: 'wall-step',
    weight: 2,
    begin(world, random, worker) {
      // A pause that is hidden by a clock set back at the same time is seen by nobody (docs/invariants.md).
      if (worker === undefined || worker.clock.isStill || world.time.nowMs < worker.pausedUntilMs) return false;
      worker.steppedAtMs = world.time.nowMs;
      worker.clock.stepWall(
        (random.next() < 0.5 ? -1 : 1) * (random.next() < 0.5 ? between(random, 100, 4_000) : 86_400_000),
      );
      return 600;
    },
  },
  {
    name: 'false-evidence',
    weight: 1,
    begin(world, _random, worker) {
      const accuser = world.alive.find((other) => other !== worker);
      if (worker === undefined || accuser === undefined || accuser.clock.isStill) return false;
      const { sessionTimeoutMs, guardMs } = world.options.timers;
      worker.accused = true;
      accuser.peers.accuse(worker);
      // C9: H + RTT where the victim goes on reaching its coordinator, else what its lease has left.
      excuse(world, worker, sessionTimeoutMs - guardMs + 2_500);
      return 2_000;
    },
  },
  {
    name: 'all-die',
    weight: 1,
    begin(world, random) {
      for (const worker of world.alive) worker.kill();
      const backMs = between(random, 100, 9_000);
      const names = ['w-1', 'w-2', 'w-3'];
      world.time.after(backMs, () => {
        if (random.next() < 0.5) world.forgetGroup();
        for (const name of names) if (!world.alive.some(({ instance }) => instance === name)) world.add(name);
      });
      return backMs;
    },
  },
  {
    name: 'register-lost',
    weight: 1,
    begin(world, random) {
      world.store.registers.delete(Math.floor(random.next() * world.options.slots));
      return 0;
    },
  },
  {
    name: 'producer-id-renewed',
    weight: 1,
    begin(world, random) {
      world.partitions.renew(Math.floor(random.next() * world.options.slots));
      return 0;
    },
  },
  away('transactions-away', ({ partitions }, untilMs) => (partitions.transactionsAwayUntilMs = untilMs)),
  away('ownership-away', ({ topic }, untilMs) => (topic.awayUntilMs = untilMs)),
  {
    name: 'compaction',
    weight: 1,
    begin(world) {
      world.topic.compact();
      return 0;
    },
  },
  {
    name: 'slow-network',
    weight: 1,
    begin(world, random) {
      const lastsMs = between(random, 500, 5_000);
      world.latencyMsMax = between(random, 50, 1_500);
      world.time.after(lastsMs, () => (world.latencyMsMax = 3));
      return lastsMs;
    },
  },
  {
    name: 'wish',
    weight: 2,
    begin(world, random, worker) {
      if (worker === undefined) return false;
      const wish: Placement = {
        instance: worker.instance,
        drain: false,
        changedBy: 'sim',
        changedAtNs: 0n,
        incarnation: '',
      };
      const slot = Math.floor(random.next() * world.options.slots);
      if (random.next() < 0.6) world.topic.append({ key: `place/${slot}`, place: slot, placement: wish });
      else {
        const placement = { ...wish, drain: true, incarnation: worker.incarnation };
        world.topic.append({ key: `drain/${worker.instance}`, drain: worker.instance, placement });
      }
      return 1_000;
    },
  },
];
