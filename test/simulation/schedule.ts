import { type LockTimers } from '../../core/kafka/lock-timers.ts';
import { type Logger } from '../../core/logger.ts';
import { seededRandom, type Random } from '../../core/random.ts';
import { type Placement } from '../../schemas/ownership.ts';
import { type SimulatedWorker } from './simulated-worker.ts';
import { type Violation, World } from './world.ts';

/**
 * A random schedule: some workers and slots, at least five faults in bursts of one to four, then quiet until every slot is
 * held again, within a bound. Everything follows from the seed.
 */
export interface ScheduleOptions {
  readonly seed: number;
  readonly timers?: LockTimers;
  readonly slotsMax?: number;
  readonly workersMax?: number;
  /** Prints the faults, and what the workers log. */
  readonly say?: (line: string) => void;
  readonly logger?: (worker: string) => Logger;
  /** Only faults of these names, for schedules that look for one thing. */
  readonly only?: readonly string[];
  /** Before anything starts: control runs change the world here. */
  readonly prepare?: (world: World) => void;
  /** Fewer faults are left out in order: to shrink a schedule that found something. */
  readonly faultsMax?: number;
}

export interface ScheduleResult {
  readonly seed: number;
  readonly violation: Violation | null;
  readonly faults: readonly string[];
  /** From the last fault's end to every slot held again. */
  readonly recoveryMs: number;
  readonly excused: number;
  readonly events: number;
  readonly slots: number;
  readonly workers: number;
}

/** S, R, H, G in the proportions of the profile `fast`, with R as short as it may be: schedules stay short. */
export const scheduleTimers: LockTimers = {
  sessionTimeoutMs: 6_000,
  rebalanceTimeoutMs: 18_000,
  heartbeatMs: 600,
  guardMs: 500,
};

/**
 * O16: a Join that was lost with its process holds a rebalance up for R, the next one for another pending Sync of R, a
 * member that went silent for S; then claims, each given up after 10 s when it gets nowhere, and their turn.
 */
export function recoveryBoundMs({ sessionTimeoutMs, rebalanceTimeoutMs }: LockTimers): number {
  return 2 * rebalanceTimeoutMs + sessionTimeoutMs + 15_000;
}

interface Fault {
  readonly name: string;
  readonly weight: number;
  /** False: it made no sense now. Returns how long it lasts otherwise. */
  begin(world: World, random: Random, worker: SimulatedWorker | undefined): number | false;
}

const between = (random: Random, from: number, to: number): number => from + random.next() * (to - from);

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
      const lastsMs = pauseMs(random, world);
      const { heartbeatMs } = world.options.timers;
      worker.clock.freeze(true);
      world.time.after(lastsMs, () => {
        worker.clock.thaw();
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
    begin(_world, random, worker) {
      if (worker === undefined) return false;
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
  {
    name: 'transactions-away',
    weight: 1,
    begin(world, random) {
      const lastsMs = between(random, 100, 5_000);
      world.partitions.transactionsAwayUntilMs = world.time.nowMs + lastsMs;
      return lastsMs;
    },
  },
  {
    name: 'ownership-away',
    weight: 1,
    begin(world, random) {
      const lastsMs = between(random, 100, 5_000);
      world.topic.awayUntilMs = world.time.nowMs + lastsMs;
      return lastsMs;
    },
  },
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

export async function runSchedule(options: ScheduleOptions): Promise<ScheduleResult> {
  const random = seededRandom(options.seed ^ 0x5eed);
  const timers = options.timers ?? scheduleTimers;
  const slots = Math.floor(between(random, 2, (options.slotsMax ?? 16) + 1));
  const count = Math.floor(between(random, 2, (options.workersMax ?? 5) + 1));
  const world = new World({
    seed: options.seed,
    slots,
    timers,
    ...(options.logger === undefined ? {} : { logger: options.logger }),
  });
  options.prepare?.(world);
  const done: string[] = [];
  const say = (what: string): void => options.say?.(`${(world.time.nowMs / 1_000).toFixed(3)} s  ${what}`);
  // Programs of two versions in one group, now and then.
  const oldOnes = random.next() < 0.15 ? 1 + Math.floor(random.next() * count) : 0;
  for (let n = 1; n <= count; n += 1) {
    const more = { peerWatch: random.next() < 0.8, ...(n <= oldOnes ? { formats: [1] } : {}) };
    if (n === 1 || random.next() < 0.5) world.add(`w-${n}`, more);
    else world.time.after(between(random, 0, 3_000), () => world.add(`w-${n}`, more));
  }
  await world.run(between(random, 500, 6_000));
  const wanted = Math.min(5 + Math.floor(random.next() * 4), options.faultsMax ?? Number.POSITIVE_INFINITY);
  let quietAtMs = world.time.nowMs;
  while (done.length < wanted && world.violations.length === 0) {
    const burst = 1 + Math.floor(random.next() * 4);
    for (let n = 0; n < burst && done.length < wanted; n += 1) {
      const begun = beginFault(world, random, options.only);
      if (begun === null) continue;
      done.push(begun.name);
      say(
        `fault ${begun.name}${begun.worker === undefined ? '' : ` of ${begun.worker.incarnation}`}, ${Math.round(begun.lastsMs)} ms`,
      );
      quietAtMs = Math.max(quietAtMs, world.time.nowMs + begun.lastsMs);
      if (random.next() < 0.6) await world.run(between(random, 0, 300));
    }
    await world.run(between(random, 100, 8_000));
  }
  await world.run(Math.max(0, quietAtMs - world.time.nowMs));
  heal(world);
  say('quiet from here on');
  const recoveryMs = await recover(world);
  if (world.violations.length === 0) world.checkConvergence();
  const [violation = null] = world.violations;
  if (violation !== null) say(String(violation));
  for (const worker of world.workers) worker.kill();
  const { excused, time } = world;
  return {
    seed: options.seed,
    violation,
    faults: done,
    recoveryMs,
    excused,
    events: time.events,
    slots,
    workers: count,
  };
}

function beginFault(
  world: World,
  random: Random,
  only: readonly string[] | undefined,
): { readonly name: string; readonly worker: SimulatedWorker | undefined; readonly lastsMs: number } | null {
  const possible = faults.filter(({ name }) => only?.includes(name) !== false);
  const total = possible.reduce((sum, { weight }) => sum + weight, 0);
  let at = random.next() * total;
  const fault = possible.find(({ weight }) => (at -= weight) < 0) ?? possible[0];
  const { alive } = world;
  const worker = alive[Math.floor(random.next() * alive.length)];
  const lastsMs = fault?.begin(world, random, worker) ?? false;
  return fault === undefined || lastsMs === false ? null : { name: fault.name, worker, lastsMs };
}

/** What a fault left behind for good is mended, so that quiet is quiet. */
function heal(world: World): void {
  world.endSuperseded();
  world.latencyMsMax = 3;
  for (const worker of world.workers) {
    worker.clock.thaw();
    worker.clock.lateMs = 0;
    Object.assign(worker.path, {
      cutIn: false,
      cutOut: false,
      cutFromCurrent: false,
      joinsVanish: false,
      readerStalls: false,
      batchDelayMs: 0,
      loss: 0,
    });
  }
  for (const instance of ['w-1', 'w-2']) {
    if (!world.alive.some((worker) => worker.instance === instance)) world.add(instance);
  }
}

async function recover(world: World): Promise<number> {
  const { timers } = world.options;
  const fromMs = world.time.nowMs;
  const boundMs = recoveryBoundMs(timers);
  await world.run(boundMs, () => world.settled());
  const recoveryMs = world.time.nowMs - fromMs;
  if (world.violations.length > 0) return recoveryMs;
  if (!world.settled()) world.failLiveness(boundMs);
  else await world.run(2_000); // until everybody has read what was written last
  return recoveryMs;
}
