import { describe, expect, test } from '@jest/globals';
import { type Plan, type SlotOwnership } from '../../../schemas/ownership.ts';
import { deferred } from '../../../core/deferred.ts';
import { type MemberRef } from '../../../core/kafka/coordinator.ts';
import { SlotDriver } from '../../../core/kafka/slot-driver.ts';
import { type WorkerFacts } from '../../../core/kafka/worker-facts.ts';
import { silentLogger } from '../../../core/logger.ts';
import { seededRandom } from '../../../core/random.ts';
import { FakeClock, settled } from '../../support/fake-clock.ts';
import {
  MemoryOwnershipLog,
  never,
  ScriptedCoordinator,
  ScriptedHost,
  ScriptedWriter,
  Story,
} from '../../support/scripted-lock.ts';

const ours = { instance: 'i-1', incarnation: 'a', memberId: 'm-1', peer: '', zone: '' };
const theirs = { instance: 'i-2', incarnation: 'b', memberId: 'm-2', peer: '', zone: '' };

/** One slot; `owner` and `prev` by member, 0: none. */
function planOf(owner: 0 | 1 | 2, prev: 0 | 1 | 2 = 0, prevEpoch = 0n): Plan {
  const slot = { owner, standby: 0, prev, prevEpoch, reason: 1 };
  return { version: 1n, generation: 4, members: [ours, theirs], slots: [slot], leader: 0 };
}

function recordOf(state: 'held' | 'released', epoch: bigint, holder = theirs, lastSeq = 0n): SlotOwnership {
  return { slot: 0, holder, state, epoch, lastSeq, sinceNs: 0n, reason: 'start', fromEpoch: 0n, fromSeq: 0n };
}

class Scene {
  readonly clock = new FakeClock();
  readonly story = new Story();
  readonly coordinator = new ScriptedCoordinator(this.clock, this.story);
  readonly log = new MemoryOwnershipLog(this.story);
  readonly host = new ScriptedHost(this.story, this.clock);
  readonly wanted: string[] = [];
  readonly refused: string[] = [];
  synced: MemberRef | null = { memberId: 'm-1', generation: 4 };
  live = true;
  frozen = false;
  others = true;
  logEnds = new Map<number, bigint>();
  readonly driver: SlotDriver<ScriptedWriter>;

  constructor(slots = 1) {
    const worker: WorkerFacts = {
      synced: () => this.synced,
      self: () => ours,
      mayAcquire: () => this.live && !this.frozen,
      leaseLive: () => this.live,
      draining: () => false,
      othersMayDoBetter: () => this.others,
      accepted: () => undefined,
      refused: (kind, lane) => this.refused.push(`${lane} ${kind}`),
      wantRebalance: (why) => this.wanted.push(why),
      slotsChanged: () => undefined,
    };
    this.driver = new SlotDriver<ScriptedWriter>({
      slots,
      host: this.host,
      createWriter: (_slot, epoch, hooks) => new ScriptedWriter(epoch, hooks, this.story),
      coordinator: this.coordinator,
      log: this.log,
      ends: { lastEpochs: () => Promise.resolve(this.logEnds) },
      worker,
      clock: this.clock,
      random: seededRandom(1),
      logger: silentLogger,
    });
    void this.log.start({
      slotChanged: (record) => this.driver.ownershipChanged(record),
      slotLowered: (best) => this.driver.heal(best),
      planChanged: () => undefined,
      planLowered: () => undefined,
      wishesChanged: () => undefined,
      fatal: () => undefined,
    });
    this.register(1n, 'm-0');
  }

  register(epoch: bigint, memberId: string): void {
    this.coordinator.registers.set(0, { slot: 0, offset: 3n, metadata: `1 ${epoch} ${memberId}` });
  }

  adopt(plan: Plan): void {
    this.driver.adopt(plan, 'm-1');
  }

  /** Slot 0 is active; what happened until then is forgotten. */
  async active(): Promise<this> {
    this.adopt(planOf(1));
    await settled();
    expect(this.driver.active()).toEqual([0]);
    this.story.take();
    return this;
  }

  get epoch(): bigint {
    return this.host.writers.at(-1)?.epoch ?? 0n;
  }
}

describe('taking a slot', () => {
  test('claim, producer id, marker and `held`, and only then sessions (SL2, O4)', async () => {
    const scene = new Scene();
    const acked = deferred<undefined>();
    scene.host.hold = acked.promise.then(() => undefined);
    scene.adopt(planOf(1));
    await settled();
    const epoch = BigInt(scene.clock.nowMs());
    const before = ['fetch 0', `commit 0 1 ${epoch} m-1`, 'writer start', 'begin 0', 'append held 0'];
    expect(scene.story.take()).toEqual(before);
    expect(scene.driver.active()).toEqual([]);
    expect(scene.driver.report().held).toEqual(new Map([[0, epoch]])); // SL1: reported since the commit
    acked.resolve(undefined);
    await settled();
    expect(scene.story.take()).toEqual(['begun 0', 'activate 0']);
    expect(scene.driver.active()).toEqual([0]);
  });

  const far = 5_000_000_000_000n; // above unix ms
  const floors: readonly [what: string, set: (scene: Scene) => void, above: bigint][] = [
    ['the register', (scene) => scene.register(far, 'm-0'), far],
    ['`ownership`', (scene) => scene.log.append(recordOf('released', far)), far],
    [
      'the end of the slot’s log, where the register is lost',
      (scene) => {
        scene.coordinator.registers.clear();
        scene.logEnds = new Map([[0, far]]);
      },
      far,
    ],
  ];
  test.each(floors)('O3: the epoch is above that of %s', async (_what, set, above) => {
    const scene = new Scene();
    set(scene);
    scene.adopt(planOf(1));
    await settled();
    expect(scene.epoch).toBe(above + 1n);
  });

  test('O6: with prev set it waits for the release of that epoch, and no lower one will do', async () => {
    const scene = new Scene();
    scene.adopt(planOf(1, 2, 50n));
    await settled();
    scene.log.append(recordOf('held', 50n));
    scene.log.append(recordOf('released', 49n)); // below what is known: changes nothing
    await settled();
    expect(scene.story.take()).toEqual([]);
    scene.log.append(recordOf('released', 50n, theirs, 8n));
    await settled();
    expect(scene.driver.active()).toEqual([0]);
    expect(scene.host.takeovers[0]).toMatchObject({ fromEpoch: 50n, fromSeq: 8n, committedOffset: 3n });
  });

  test('C3: a register in which another member of the plan stands unreleased is left alone', async () => {
    const scene = new Scene();
    scene.register(60n, 'm-2');
    scene.adopt(planOf(1));
    await settled();
    expect(scene.story.take()).toEqual(['fetch 0']);
    expect(scene.wanted).toHaveLength(1);
    expect(scene.driver.report().held.size).toBe(0);
  });

  test('O7: frozen before its commit was sent, it sends none', async () => {
    const scene = new Scene();
    const answered = deferred<undefined>();
    scene.coordinator.hold = answered.promise;
    scene.adopt(planOf(1));
    await settled();
    scene.driver.freeze();
    scene.frozen = true;
    answered.resolve(undefined);
    await settled();
    expect(scene.story.take()).toEqual(['fetch 0']);
  });

  test('O12: a commit that went unanswered is repeated as it was, and reported as held meanwhile', async () => {
    const scene = new Scene();
    scene.coordinator.commitAnswers.push('lost', 'lost');
    scene.adopt(planOf(1));
    await settled();
    scene.driver.freeze(); // too late: it may have been accepted
    expect(scene.driver.report().held.size).toBe(1);
    await scene.clock.advance(2_000);
    const commits = scene.story.take().filter((line) => line.startsWith('commit'));
    expect(commits).toHaveLength(3);
    expect(new Set(commits).size).toBe(1);
    expect(scene.driver.active()).toEqual([0]);
    expect(scene.refused).toEqual(['group lost', 'group lost']);
  });

  test('SL1: lost once and then refused, it may have been accepted: a release is owed and written', async () => {
    const scene = new Scene();
    scene.coordinator.commitAnswers.push('lost', 'illegal-generation');
    scene.adopt(planOf(1));
    await scene.clock.advance(500); // the freeze of the rejoin is not played here
    expect(scene.story.take().filter((line) => line.startsWith('released'))).toHaveLength(1);
  });
});

describe('giving a slot away', () => {
  test('O11: closed and flushed, writer stopped, and the statement last', async () => {
    const scene = await new Scene().active();
    scene.adopt(planOf(2, 1, scene.epoch));
    await settled();
    expect(scene.story.take()).toEqual(['release 0', 'writer stop', `released 0 ${scene.epoch} seq 7`]);
    expect(scene.driver.anyBusy()).toBe(false);
  });

  test('C5: no statement while an offset commit is unanswered, nor in a generation that a late copy could reach', async () => {
    const scene = await new Scene().active();
    scene.coordinator.commitAnswers.push('lost');
    await expect(scene.driver.commitOffset(0, 9n, null)).rejects.toMatchObject({ retryable: true });
    scene.adopt(planOf(2, 1, scene.epoch));
    await scene.clock.advance(3_000);
    expect(scene.story.take().filter((line) => line.startsWith('released'))).toEqual([]);
    expect(scene.wanted.length).toBeGreaterThan(0);
    scene.synced = { memberId: 'm-1', generation: 5 };
    await scene.clock.advance(500);
    expect(scene.story.take()).toEqual([`released 0 ${scene.epoch} seq 7`]);
  });

  test('SE2: a host that does not finish within 5 s is not waited for; the last seq is unknown', async () => {
    const scene = await new Scene().active();
    scene.host.release = () => never;
    scene.adopt(planOf(2, 1, scene.epoch));
    await scene.clock.advance(4_900);
    expect(scene.story.take()).toEqual([]);
    await scene.clock.advance(200);
    expect(scene.story.take()).toEqual(['writer stop', `released 0 ${scene.epoch} seq 0`]);
  });

  test('SE3: a statement that cannot be written is replaced by a register that names nobody', async () => {
    const scene = await new Scene().active();
    scene.log.broken = true;
    scene.adopt(planOf(2, 1, scene.epoch));
    await settled();
    expect(scene.coordinator.registers.get(0)?.metadata).toBe(`1 ${scene.epoch} -`);
    expect(scene.wanted).toHaveLength(1);
  });

  test('a plan that names us prev of a slot we do not hold gets its release at once', async () => {
    const scene = new Scene();
    scene.adopt(planOf(2, 1, 44n));
    await settled();
    expect(scene.story.take()).toEqual(['released 0 44 seq 0']);
  });
});

describe('losing a slot', () => {
  test('L2: everything is silent before `dropAll` returns; free again only when the last session is gone', async () => {
    const scene = await new Scene().active();
    const gone = deferred<undefined>();
    scene.host.closing = gone.promise.then(() => undefined);
    const [writer] = scene.host.writers;
    expect(writer!.hooks.leaseLive()).toBe(true);
    scene.driver.dropAll();
    expect(scene.story.take()).toEqual([`drop 0 at ${scene.clock.monotonicMs()}`, 'writer stop']);
    expect(writer!.hooks.leaseLive()).toBe(false); // for good, whatever the next lease says
    expect(scene.driver.anyLost()).toBe(true);
    expect(scene.driver.report().held.size).toBe(0);
    gone.resolve(undefined);
    await settled();
    expect(scene.driver.anyLost()).toBe(false);
    expect(scene.story.take()).toEqual([]); // no statement: the membership is gone
  });

  const records: readonly [what: string, record: (epoch: bigint) => SlotOwnership, dropped: boolean][] = [
    ['another’s of a higher epoch', (epoch) => recordOf('held', epoch + 1n), true],
    ['another’s of our epoch', (epoch) => recordOf('held', epoch), false],
    ['another’s of a lower epoch', (epoch) => recordOf('held', epoch - 1n), false],
    ['our own of a higher epoch', (epoch) => recordOf('held', epoch + 1n, ours), false],
  ];
  test.each(records)('a record in `ownership`, %s', async (_what, record, dropped) => {
    const scene = await new Scene().active();
    scene.log.append(record(scene.epoch));
    await settled();
    expect(scene.story.take().some((line) => line.startsWith('drop'))).toBe(dropped);
    expect(scene.wanted.length).toBe(dropped ? 1 : 0);
  });

  test('a writer that was fenced ends its own life only (SD1)', async () => {
    const scene = await new Scene().active();
    const [first] = scene.host.writers;
    first!.hooks.onFenced();
    await settled();
    expect(scene.story.take().some((line) => line.startsWith('drop'))).toBe(true);
    scene.driver.evaluate(); // still ours by the plan: claimed anew
    await settled();
    expect(scene.driver.active()).toEqual([0]);
    expect(scene.host.writers).toHaveLength(2);
    first!.hooks.onFenced();
    await settled();
    expect(scene.driver.active()).toEqual([0]);
  });
});

describe('no progress (C12)', () => {
  test('a slot that does not get through its acquisition is given back and reported as unable for a minute', async () => {
    const scene = new Scene();
    scene.host.hold = never;
    scene.adopt(planOf(1));
    await scene.clock.advance(10_001);
    scene.frozen = true;
    scene.driver.tick();
    expect(scene.driver.unable()).toEqual(new Set([0]));
    await scene.clock.advance(6_000);
    expect(scene.story.take().filter((line) => line.startsWith('released'))).toEqual([
      `released 0 ${scene.epoch} seq 7`,
    ]);
    expect(scene.wanted.length).toBeGreaterThan(0);
    await scene.clock.advance(60_000);
    expect(scene.driver.unable()).toEqual(new Set());
  });

  test('an assigned slot that cannot start: a new connection to `ownership` and another plan, each time later', async () => {
    const scene = new Scene();
    scene.adopt(planOf(1, 2, 50n));
    const atMs: number[] = [];
    const startMs = scene.clock.monotonicMs();
    for (let second = 1; second <= 180; second += 1) {
      await scene.clock.advance(1_000);
      scene.driver.tick();
      if (scene.log.reconnects > atMs.length) atMs.push(Math.round((scene.clock.monotonicMs() - startMs) / 1_000));
    }
    expect(scene.wanted).toHaveLength(atMs.length);
    expect(atMs[0]).toBe(11);
    const pauses = atMs.slice(1).map((at, index) => at - atMs[index]!);
    expect(pauses).toEqual([21, 41, 61]);
  });
});

describe('SD2: active, and nothing is acked', () => {
  /** A tick a second, as many. */
  async function tick(scene: Scene, seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second += 1) {
      await scene.clock.advance(1_000);
      scene.driver.tick();
    }
    await settled();
  }

  test('for 10 s, where others may do better: given back, and reported as unable', async () => {
    const scene = await new Scene().active();
    scene.host.writers[0]!.acks = { unacked: true, ackedBatches: 2 };
    await tick(scene, 11); // noticed after the first
    expect(scene.story.take()).toEqual([]);
    scene.frozen = true; // the join that follows
    await tick(scene, 1);
    expect(scene.story.take()).toEqual(['release 0', 'writer stop', `released 0 ${scene.epoch} seq 7`]);
    expect(scene.driver.unable()).toEqual(new Set([0]));
    expect(scene.wanted).toHaveLength(1);
  });

  test('where nobody would do better it is kept, and given back once somebody would', async () => {
    const scene = await new Scene().active();
    scene.others = false;
    scene.host.writers[0]!.acks = { unacked: true, ackedBatches: 2 };
    await tick(scene, 120);
    expect(scene.driver.active()).toEqual([0]);
    scene.others = true;
    await tick(scene, 1);
    expect(scene.story.take()[0]).toBe('release 0');
  });

  test('an ack now and then is enough, and so is nothing that waits for one', async () => {
    const scene = await new Scene().active();
    const [writer] = scene.host.writers;
    for (let batch = 1; batch <= 6; batch += 1) {
      writer!.acks = { unacked: true, ackedBatches: batch };
      await tick(scene, 9);
    }
    writer!.acks = { unacked: false, ackedBatches: 6 };
    await tick(scene, 60);
    writer!.acks = { unacked: true, ackedBatches: 6 };
    await tick(scene, 10);
    expect(scene.driver.active()).toEqual([0]);
  });
});

describe('SD3: slots that go to others', () => {
  /** Three slots by owner; those of i-2 wait for us. */
  const owned = (...owners: (1 | 2)[]): Plan => ({
    ...planOf(1),
    slots: owners.map((owner) => ({ ...planOf(owner, owner === 2 ? 1 : 0).slots[0]! })),
  });
  const releases = (scene: Scene): string[] => scene.story.take().filter((line) => line.startsWith('release '));

  async function threeActive(): Promise<Scene> {
    const scene = new Scene(3);
    scene.adopt(owned(1, 1, 1));
    await settled();
    expect(scene.driver.active()).toEqual([0, 1, 2]);
    scene.story.take();
    return scene;
  }

  test('each leaves when the one before is held by its new owner; the others run on', async () => {
    const scene = await threeActive();
    scene.adopt(owned(2, 2, 2));
    await settled();
    expect(releases(scene)).toEqual(['release 0']);
    expect(scene.driver.active()).toEqual([1, 2]);
    scene.log.append(recordOf('held', scene.epoch + 1n)); // slot 0
    await scene.clock.advance(50);
    expect(releases(scene)).toEqual(['release 1']);
    expect(scene.driver.active()).toEqual([2]);
    await scene.clock.advance(450); // nobody comes for slot 1
    expect(releases(scene)).toEqual(['release 2']);
  });

  test('DP3: a plan that leaves us what has not gone yet keeps it', async () => {
    const scene = await threeActive();
    scene.adopt(owned(2, 2, 2));
    await settled();
    scene.adopt(owned(2, 1, 1));
    await scene.clock.advance(2_000);
    expect(releases(scene)).toEqual(['release 0']);
    expect(scene.driver.active()).toEqual([1, 2]);
  });

  test('one that is dropped while it waits owes nothing: nobody may take it for released in order', async () => {
    const scene = await threeActive();
    scene.adopt(owned(2, 2, 2));
    await settled();
    scene.story.take();
    scene.driver.dropAll();
    await scene.clock.advance(2_000);
    const lines = scene.story.take();
    expect(lines.filter((line) => line.startsWith('release '))).toEqual([]);
    expect(lines.filter((line) => line.startsWith('released '))).toEqual([]);
    expect(scene.driver.anyBusy()).toBe(false);
  });
});
