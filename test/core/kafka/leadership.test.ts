import { describe, expect, test } from '@jest/globals';
import { type Placement, type Plan, planCodec } from '../../../schemas/ownership.ts';
import { type Slot } from '../../../schemas/slot.ts';
import { deferred } from '../../../core/deferred.ts';
import { type Joined } from '../../../core/kafka/coordinator.ts';
import { encodeHeldReport, reportBytesMax } from '../../../core/kafka/held-report.ts';
import { Leadership } from '../../../core/kafka/leadership.ts';
import { type MemberReport } from '../../../core/kafka/plan.ts';
import { createLogger } from '../../../core/logger.ts';
import { FakeClock, settled } from '../../support/fake-clock.ts';
import { holding, instancesOf, memberReport } from '../../support/plan-group.ts';
import { MemoryOwnershipLog, Story } from '../../support/scripted-lock.ts';

const slots = 8;
const all: readonly Slot[] = [...Array(slots).keys()];
const warm = new Set(all);
/** i-1, who leads, holds everything; i-2 is warm for everything, so that half of it moves. */
const holder = memberReport('i-1', { slots, held: holding(all) });
const helper = memberReport('i-2', { slots, warm });

const wish = (fields: Partial<Placement>): Placement => ({
  instance: '',
  drain: false,
  changedBy: 'test',
  changedAtNs: 0n,
  incarnation: '',
  ...fields,
});

class Scene {
  readonly clock = new FakeClock();
  readonly story = new Story();
  readonly log = new MemoryOwnershipLog(this.story);
  readonly written: Plan[] = [];
  readonly wanted: string[] = [];
  readonly evicted: string[] = [];
  readonly lines: Record<string, unknown>[] = [];
  leads = true;
  generation = 0;
  plan: Plan | null = null;
  readonly leadership = new Leadership({
    slots,
    log: this.log,
    clock: this.clock,
    logger: createLogger({
      level: 'info',
      format: 'json',
      destination: { write: (line) => void this.lines.push(JSON.parse(line) as Record<string, unknown>) },
    }),
    leads: () => this.leads,
    wantRebalance: (why) => this.wanted.push(why),
    evict: (memberId) => this.evicted.push(memberId),
  });

  constructor() {
    this.log.writePlan = (plan) => {
      this.written.push(plan);
      return Promise.resolve();
    };
  }

  /** The plan that i-1 makes of these reports, not adopted yet. */
  make(members: readonly MemberReport[], foreign: Joined['members'] = []): Plan {
    this.generation += 1;
    const reports = members.map(({ memberId, report }) => ({ memberId, report: encodeHeldReport(report, slots) }));
    const joined = { memberId: 'i-1-id', generation: this.generation, leader: true, members: [...reports, ...foreign] };
    return planCodec.decode(this.leadership.plan(joined, this.plan).bytes);
  }

  adopt(plan: Plan): Plan {
    this.plan = plan;
    this.leadership.adopted(plan);
    return plan;
  }

  round(members: readonly MemberReport[], foreign: Joined['members'] = []): Plan {
    return this.adopt(this.make(members, foreign));
  }

  place(slot: Slot, instance: string | null): void {
    this.log.view.applyPlace(slot, instance === null ? null : wish({ instance }));
    this.leadership.wishesChanged();
  }

  drain(instance: string, incarnation: string | null): void {
    this.log.view.applyDrain(instance, incarnation === null ? null : wish({ instance, drain: true, incarnation }));
    this.leadership.wishesChanged();
  }

  /** The owner in the plan, or another run of it, says that it holds the slot. */
  hold(slot: Slot, incarnation?: string): void {
    const owner = this.plan!.members[this.plan!.slots[slot]!.owner - 1]!;
    const holder = { ...owner, incarnation: incarnation ?? owner.incarnation };
    const rest = { lastSeq: 0n, sinceNs: 0n, reason: 'move', fromEpoch: 0n, fromSeq: 0n };
    this.log.view.applySlot({ slot, holder, state: 'held', epoch: 20n, ...rest });
    this.leadership.slotChanged();
  }
}

/** A group in balance, with nothing left to do: i-1 has the first half, i-2 the second. */
const balanced = [
  memberReport('i-1', { slots, held: holding(all.slice(0, 4)), warm }),
  memberReport('i-2', { slots, held: holding(all.slice(4)), warm }),
];

describe('the plan', () => {
  test('LS1: it follows from reports, `ownership` and the plan before: two leaders make the same one', () => {
    const [first, second] = [new Scene(), new Scene()];
    second.round([holder]); // has led before, this one has not
    second.plan = null;
    second.generation = 0;
    expect(second.make([holder, helper]).slots).toEqual(first.make([holder, helper]).slots);
  });

  test('who leads writes what is adopted; whose write fails says so', async () => {
    const scene = new Scene();
    const plan = scene.round([holder, helper]);
    expect(scene.written).toEqual([plan]);
    scene.log.writePlan = () => Promise.reject(new Error('no leader'));
    scene.round([holder, helper]);
    await settled();
    expect(scene.lines.at(-1)).toMatchObject({ msg: 'plan not written', cause: 'no leader' });
  });

  test('LS2: a report that is not understood is named once in ten seconds, and costs its member its share', async () => {
    const scene = new Scene();
    const foreign = [{ memberId: 'x', report: Buffer.from('other program') }];
    const { members } = scene.round(balanced, foreign);
    scene.round(balanced, foreign);
    expect(members.map(({ instance }) => instance)).toEqual(['i-1', 'i-2']);
    const [line] = scene.lines;
    expect(scene.lines).toHaveLength(1);
    expect(line).toMatchObject({ memberId: 'x', code: 'PLAN_INVALID', suppressed: 0 });
    expect(scene.evicted).toEqual([]);
    await scene.clock.advance(10_000);
    scene.round(balanced, foreign);
    expect(scene.lines.at(-1)).toMatchObject({ memberId: 'x', suppressed: 1 });
  });

  test('LS2: one that is too large is sent away, every time that it comes', () => {
    const scene = new Scene();
    const large = (bytes: number): Joined['members'] => [{ memberId: 'x', report: Buffer.alloc(bytes, 9) }];
    scene.round(balanced, large(reportBytesMax));
    expect(scene.evicted).toEqual([]);
    scene.round(balanced, large(reportBytesMax + 1));
    scene.round(balanced, large(reportBytesMax + 1));
    expect(scene.evicted).toEqual(['x', 'x']);
  });
});

describe('what is left to balance', () => {
  /** So many slots wait for i-2, who is not warm for them. */
  const cold = [holder, memberReport('i-2', { slots })];

  /** Ms until another round is asked for; null: not within five minutes. */
  async function waitMs(scene: Scene): Promise<number | null> {
    const fromMs = scene.clock.monotonicMs();
    const before = scene.wanted.length;
    for (let step = 0; step < 600; step += 1) {
      if (scene.wanted.length > before) return scene.clock.monotonicMs() - fromMs;
      await scene.clock.advance(500);
    }
    return null;
  }

  test('it is looked at again after 10 s, then later each time that nothing became of it, up to 60 s', async () => {
    const scene = new Scene();
    const waits: (number | null)[] = [];
    for (let round = 0; round < 5; round += 1) {
      scene.round(cold);
      waits.push(await waitMs(scene));
    }
    expect(waits).toEqual([10_000, 20_000, 40_000, 60_000, 60_000]);
    expect(new Set(scene.wanted)).toEqual(new Set(['slots were left to balance']));
    scene.round([holder, memberReport('i-2', { slots, warm: new Set(all.slice(0, 5)) })]); // something became of it
    scene.plan = null;
    scene.round(cold);
    expect(await waitMs(scene)).toBe(10_000);
  });

  test('where nothing is left there is no other round', async () => {
    const scene = new Scene();
    scene.round(balanced);
    expect(scene.clock.armed).toBe(0);
    expect(await waitMs(scene)).toBeNull();
  });

  test('the next plan takes the place of what was asked for, whoever made it, and stopped nothing is', async () => {
    const scene = new Scene();
    scene.round(cold);
    await scene.clock.advance(9_000);
    scene.round(cold);
    expect(scene.clock.armed).toBe(1);
    scene.leads = false;
    scene.adopt({ ...scene.plan!, generation: 9 });
    expect(scene.clock.armed).toBe(0);
    scene.leads = true;
    scene.round(cold);
    scene.leadership.stop();
    expect(scene.clock.armed).toBe(0);
    expect(scene.wanted).toEqual([]);
  });
});

describe('plans in `ownership` (LS3)', () => {
  const plans: readonly [what: string, change: (ours: Plan) => Partial<Plan>, wanted: boolean][] = [
    ['of a higher version', ({ version }) => ({ version: version + 1n, generation: 9 }), true],
    ['of our version and another generation', () => ({ generation: 9 }), true],
    ['of a lower version', ({ version }) => ({ version: version - 1n, generation: 9 }), false],
    ['that is ours', () => ({}), false],
  ];
  test.each(plans)('one %s', (_what, change, wanted) => {
    const scene = new Scene();
    const ours = scene.round(balanced);
    scene.leadership.planChanged({ ...ours, ...change(ours) });
    expect(scene.wanted.length).toBe(wanted ? 1 : 0);
  });

  test('one that was overtaken by a lower version is written again (O15)', () => {
    const scene = new Scene();
    const plan = scene.round(balanced);
    scene.leadership.planLowered(plan);
    expect(scene.written).toEqual([plan, plan]);
  });

  test('one that somebody else wrote is theirs to write again, or two leaders would never stop (OV2)', () => {
    const scene = new Scene();
    const plan = scene.round(balanced);
    scene.leadership.planLowered({ ...plan, version: plan.version + 1n, generation: 9 });
    expect(scene.written).toEqual([plan]);
  });

  test('before the first plan nothing is asked for or written', () => {
    const scene = new Scene();
    scene.leadership.planChanged({ version: 9n, generation: 9, members: [], slots: [], leader: 0 });
    scene.leadership.planLowered({ version: 9n, generation: 9, members: [], slots: [], leader: 0 });
    scene.place(0, 'i-2');
    expect([scene.wanted, scene.written]).toEqual([[], []]);
  });
});

describe('wishes', () => {
  test('a place goes into the plan, and a drain, of the run that is meant', () => {
    const scene = new Scene();
    scene.round(balanced);
    scene.place(0, 'i-2');
    expect(instancesOf(scene.round(balanced))[0]).toBe('i-2');
    scene.place(0, null);
    scene.drain('i-1', 'i-1');
    expect(new Set(instancesOf(scene.round(balanced)))).toEqual(new Set(['i-2']));
    scene.drain('i-1', 'its run before');
    expect(new Set(instancesOf(scene.round(balanced)))).toEqual(new Set(['i-1', 'i-2']));
  });

  test('one asks for a round when it is made, and when it is withdrawn, and not when the plan has it', () => {
    const scene = new Scene();
    scene.round(balanced);
    scene.leadership.wishesChanged();
    expect(scene.wanted).toEqual([]);
    scene.place(0, 'i-2');
    expect(scene.wanted).toEqual(['a wish was made or withdrawn']);
    scene.round(balanced);
    scene.place(0, 'i-2'); // once more
    expect(scene.wanted).toHaveLength(1);
    scene.place(0, 'i-1');
    expect(scene.wanted).toHaveLength(2);
    scene.place(0, null);
    expect(scene.wanted).toHaveLength(3);
    scene.round(balanced);
    scene.drain('i-2', 'i-2');
    expect(scene.wanted).toHaveLength(4);
  });

  test('one that names an instance of another group asks for none', () => {
    const scene = new Scene();
    scene.round(balanced);
    scene.place(0, 'query-api-1');
    scene.drain('replicator-1', '');
    expect(scene.wanted).toEqual([]);
    expect(scene.story.take()).toEqual([]); // nor is it ours to withdraw
  });

  test('one that comes between making a plan and adopting it asks for a round then', () => {
    const scene = new Scene();
    scene.round(balanced);
    const plan = scene.make(balanced);
    scene.leads = false; // until its Sync is answered
    scene.place(0, 'i-2');
    expect(scene.wanted).toEqual([]);
    scene.leads = true;
    scene.adopt(plan);
    expect(scene.wanted).toEqual(['a wish was made or withdrawn']);
  });

  test('LS4: a place is withdrawn once the run that the plan names holds the slot, and only once', async () => {
    const scene = new Scene();
    scene.round(balanced);
    scene.place(0, 'i-2');
    scene.hold(0); // i-1, who is its owner yet
    expect(scene.story.take()).toEqual([]);
    scene.round(balanced);
    scene.hold(0, 'another run');
    expect(scene.story.take()).toEqual([]);
    const durable = deferred<undefined>();
    const calls: unknown[] = [];
    scene.log.withdraw = async (what) => {
      calls.push(what);
      await durable.promise;
    };
    scene.log.view.applySlot({ ...scene.log.view.slot(0)!, holder: scene.plan!.members[1]!, epoch: 21n });
    scene.leadership.slotChanged();
    scene.leadership.slotChanged();
    scene.leadership.wishesChanged();
    expect(calls).toEqual([{ kind: 'place', slot: 0 }]);
    durable.resolve(undefined);
    await settled();
    expect(scene.lines.at(-1)).toMatchObject({ wish: 'place 0', msg: 'wish fulfilled' });
  });

  test('withdrawn by us, a wish asks for no round: it had its effect', async () => {
    const scene = new Scene();
    scene.round(balanced);
    scene.log.view.applyDrain('i-2', wish({ instance: 'i-2', drain: true, incarnation: 'its run before' }));
    scene.log.view.applyPlace(0, wish({ instance: 'i-2' }));
    scene.round(balanced);
    scene.hold(0);
    await settled();
    expect(scene.story.take()).toEqual(['withdraw drain i-2', 'withdraw place 0']);
    scene.leadership.wishesChanged(); // as read
    expect(scene.wanted).toEqual([]);
  });

  test('a withdrawal that failed is told and tried again with the next occasion', async () => {
    const scene = new Scene();
    scene.round(balanced);
    scene.log.withdraw = () => Promise.reject(new Error('no leader'));
    scene.drain('i-1', 'its run before');
    await settled();
    expect(scene.lines.at(-1)).toMatchObject({ msg: 'wish not withdrawn', cause: 'no leader' });
    Reflect.deleteProperty(scene.log, 'withdraw');
    scene.leadership.wishesChanged();
    expect(scene.story.take()).toEqual(['withdraw drain i-1']);
  });

  const drains: readonly [what: string, runs: readonly string[], incarnation: string, withdrawn: boolean][] = [
    ['another run of the instance is a member', ['-2'], 'i-2-1', true],
    ['the run that is meant is a member', ['-1'], 'i-2-1', false],
    ['both are', ['-1', '-2'], 'i-2-1', false],
    ['the instance is not there', [], 'i-2-1', false],
    ['every run is meant', ['-2'], '', false],
  ];
  test.each(drains)('LS4: a drain where %s', (_what, runs, incarnation, withdrawn) => {
    const scene = new Scene();
    scene.log.view.applyDrain('i-2', wish({ instance: 'i-2', drain: true, incarnation }));
    scene.round([holder, ...runs.map((run) => memberReport('i-2', { slots, warm }, run))]);
    expect(scene.story.take()).toEqual(withdrawn ? ['withdraw drain i-2'] : []);
  });
});

test('who does not lead is silent', async () => {
  const scene = new Scene();
  scene.leads = false;
  scene.log.view.applyPlace(0, wish({ instance: 'i-2' }));
  const plan = scene.round([holder, memberReport('i-2', { slots })]); // something is left over
  scene.hold(0);
  scene.place(1, 'i-2');
  scene.drain('i-1', 'its run before');
  scene.leadership.planChanged({ ...plan, version: plan.version + 1n, generation: 9 });
  scene.leadership.planLowered(plan);
  await scene.clock.advance(120_000);
  expect([scene.written, scene.wanted, scene.evicted, scene.story.take(), scene.lines]).toEqual([[], [], [], [], []]);
  expect(scene.clock.armed).toBe(0);
});
