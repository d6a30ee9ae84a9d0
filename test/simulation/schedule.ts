import { type LockTimers } from '../../core/kafka/lock-timers.ts';
import { type Logger } from '../../core/logger.ts';
import { seededRandom, type Random } from '../../core/random.ts';
import { between, faults } from './faults.ts';
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
  else {
    await world.run(2_000); // until everybody has read what was written last
    if (!world.agreed()) await world.run(5_000, () => world.agreed()); // a round of balance was just being made
    await world.run(1_000);
  }
  return recoveryMs;
}
