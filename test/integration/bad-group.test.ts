/**
 * Hostile and confused members of a group on a real Kafka: each is refused by name, and the group goes on. The foreign ones
 * keep to Kafka's protocol (foreign-member.ts); what they say of themselves, and as leaders of others, is theirs.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { systemClock } from '../../core/clock.ts';
import { encodeAssignment, encodeSubscription } from '../../core/kafka/consumer-protocol.ts';
import { encodeHeldReport } from '../../core/kafka/held-report.ts';
import { planCodec, type Plan } from '../../schemas/ownership.ts';
import { groupOf, topicOf } from '../../schemas/topics.ts';
import { collectedLog, type CollectedLog } from '../support/collected-log.ts';
import { eventually } from '../support/eventually.ts';
import { type FaultChild } from '../support/fault-child.ts';
import { holdingsOf, overlapsOf } from '../support/fault-holdings.ts';
import { FaultStage } from '../support/fault-stage.ts';
import { describeGroup, ForeignMember, type ForeignMemberOptions } from '../support/foreign-member.ts';
import { hasTestKafka } from '../support/kafka.ts';
import { type HostEvent, LockMember, named } from '../support/lock-member.ts';
import { watchSilence } from '../support/longest-silence.ts';
import { memberReport } from '../support/plan-group.ts';

const slots = 8;
const allSlots = Array.from({ length: slots }, (_, slot) => slot);
const protocolNames = ['holdfast-2', 'holdfast-1'];
/** A rebalance of everybody beside what slots do meanwhile, on a busy two-core machine; below S = 3 s. */
const silenceMsMax = 1_500;
const dayMs = 86_400_000;

const stages: FaultStage[] = [];
afterEach(async () => {
  await Promise.all(stages.splice(0).map((stage) => stage.end()));
}, 30_000); // members leave their groups, one request after the other

async function open(): Promise<FaultStage> {
  const stage = await FaultStage.create(slots);
  stages.push(stage);
  return stage;
}

const { report: stranger } = memberReport('stranger', { incarnation: 'none' });
const goodReport = encodeHeldReport(stranger, slots);
const groupIdOf = ({ prefix }: FaultStage): string => groupOf(prefix, 'ingest');

function foreign(stage: FaultStage, options: Omit<ForeignMemberOptions, 'brokers' | 'groupId'>): ForeignMember {
  const member = new ForeignMember({ brokers: stage.brokers, groupId: groupIdOf(stage), ...options });
  stage.onEnd(() => member.stop());
  return member;
}

/** Under all names that our members share, with these bytes as the report. */
const reporting = (stage: FaultStage, report: Buffer): ForeignMemberOptions['protocols'] =>
  protocolNames.map((name) => ({ name, metadata: encodeSubscription(topicOf(stage.prefix, 'devices'), report) }));

const found = ({ lines }: CollectedLog, msg: string): Readonly<Record<string, unknown>>[] =>
  lines.filter((line) => line['msg'] === msg);
const suite = hasTestKafka ? describe : describe.skip;

suite('LP1, LS2: a group of two, and others who come into it', () => {
  const logs = [collectedLog(), collectedLog()] as const;
  let stage: FaultStage;
  let members: LockMember[] = [];
  const eventCounts = (): number[] => members.map(({ events }) => events.length);
  const refusalOf = (memberId: string): Readonly<Record<string, unknown>> | undefined =>
    logs
      .flatMap((log) => found(log, 'member gets no slots: its report was refused'))
      .find((line) => line['memberId'] === memberId);

  /** What the intruder does, while both go on as if nothing were. */
  async function undisturbed(intrude: () => Promise<void>): Promise<void> {
    const before = eventCounts();
    const silence = watchSilence(members, allSlots);
    try {
      await intrude();
    } finally {
      expect(silence.end()).toBeLessThan(silenceMsMax);
    }
    expect(eventCounts()).toEqual(before);
    expect(members.map(({ fatal }) => fatal)).toEqual([[], []]);
  }

  beforeAll(async () => {
    stage = await FaultStage.create(slots);
    const [a, b] = [await stage.start('a', { logger: logs[0].logger }), stage.member('b', { logger: logs[1].logger })];
    await b.start(new AbortController().signal);
    members = [a, b];
    await stage.held([a, slots / 2], [b, slots / 2]);
  }, 30_000);
  afterAll(() => stage.end());

  test(
    'a member of another protocol version is refused by the broker',
    () =>
      undisturbed(async () => {
        const metadata = encodeSubscription(topicOf(stage.prefix, 'devices'), goodReport);
        const other = foreign(stage, { protocols: [{ name: 'holdfast-99', metadata }] });
        await expect(other.start()).rejects.toMatchObject({ name: 'INCONSISTENT_GROUP_PROTOCOL' });
      }),
    20_000,
  );

  test.each([
    ['garbage', Buffer.from('ffeeddccbbaa', 'hex'), 'held report of version 255: stop the programs of other versions'],
    ['no report at all', Buffer.alloc(0), 'held report that is cut short'],
    ['one cut short', goodReport.subarray(0, -3), 'held report that is cut short'],
    ['one with more behind it', Buffer.concat([goodReport, Buffer.alloc(9)]), '9 bytes after its end'],
    [
      'one for 16 slots',
      encodeHeldReport(stranger, 16),
      'works with 8 slots, this process with 16: set HOLDFAST_SLOTS',
    ],
  ])(
    'a foreign member whose report is %s gets no slots, and the leader says why',
    (_name, report, cause) =>
      undisturbed(async () => {
        const other = foreign(stage, { protocols: reporting(stage, report) });
        await other.start();
        const memberId = other.joined?.memberId ?? '';
        expect(refusalOf(memberId)).toMatchObject({ level: 'error', code: 'PLAN_INVALID', memberId });
        expect(refusalOf(memberId)?.['cause']).toContain(cause);
        expect(other.assigned.at(-1)?.readInt32BE(2)).toBe(0); // topics with partitions of its own
        await systemClock.sleep(300);
        await other.leave();
      }),
    20_000,
  );

  test(
    'KC5: a foreign member whose metadata are not even those of a consumer gets no slots, and the leader says why',
    () =>
      undisturbed(async () => {
        const metadata = Buffer.from('0000ffffff', 'hex');
        const other = foreign(stage, { protocols: protocolNames.map((name) => ({ name, metadata })) });
        await other.start();
        expect(refusalOf(other.joined?.memberId ?? '')).toMatchObject({ code: 'PLAN_INVALID' });
        await other.leave();
      }),
    20_000,
  );

  test(
    'LS2: a foreign member with a report of 1 MB is made to leave the group',
    () =>
      undisturbed(async () => {
        const other = foreign(stage, { protocols: reporting(stage, Buffer.alloc(1 << 20, 1)) });
        // Kafka cannot write the group's record with it, which fails its SyncGroup; or it is gone before, with its SyncGroup
        // left unanswered.
        const ended = other.start().catch(() => undefined);
        const line = await eventually('the leader says so', 5_000, () => refusalOf(other.joined?.memberId ?? ''));
        expect(line['cause']).toMatch(/of 10\d{5} bytes, 65536 are the most/);
        await eventually('the group is the two again', 5_000, async () => {
          const { state, members: count } = await describeGroup(stage.brokers, groupIdOf(stage));
          return state === 'Stable' && count === 2;
        });
        other.stop();
        await ended;
      }),
    20_000,
  );

  test(
    'LP2, LP3: a member of ours with another number of slots gets none, says why, and ends when it is asked to',
    () =>
      undisturbed(async () => {
        const log = collectedLog();
        const { brokers, prefix, timers } = stage;
        const options = { brokers, prefix, timers, logger: log.logger };
        const wrong = new LockMember({ ...options, slots: 16, instanceId: 'wrong' });
        stage.onEnd(() => wrong.stop());
        const starting = wrong.start(new AbortController().signal).catch((thrown: unknown) => thrown);
        const [line] = await eventually('it says so', 5_000, () => {
          const told = found(log, 'plan refused, asking for another one');
          return told.length > 0 && told;
        });
        expect(line).toMatchObject({ level: 'error', code: 'PLAN_INVALID' });
        expect(line?.['cause']).toContain(
          'the group works with 8 slots, this process with 16: set HOLDFAST_SLOTS to 8',
        );
        const told = logs.flatMap((each) => found(each, 'member gets no slots: its report was refused'));
        expect(told.at(-1)?.['cause']).toContain('this process with 16');
        expect(wrong.events).toEqual([]);
        await wrong.stop();
        expect(String(await starting)).toContain('stopped before it had a plan');
      }),
    20_000,
  );

  test('O1 … O5: after all of them the log is as if nobody had come', async () => {
    expect(stage.overlaps()).toEqual([]);
    const { problems, epochs } = await stage.audit();
    expect(problems).toEqual([]);
    expect(members.map(({ member }) => member.held().length)).toEqual([slots / 2, slots / 2]);
    expect(epochs.flat().length).toBeLessThanOrEqual(slots * 2); // one for whoever held it first, one for b's share
  });
});

suite('groups that others had before', () => {
  test('a foreign program uses the name of the group: our member ends, and says what to do', async () => {
    const stage = await open();
    const metadata = encodeSubscription(topicOf(stage.prefix, 'devices'), Buffer.alloc(0));
    await foreign(stage, { protocols: [{ name: 'range', metadata }] }).start();
    const a = stage.member('a');
    await expect(a.start(new AbortController().signal)).rejects.toMatchObject({
      code: 'PLAN_INVALID',
      message: `group ${groupIdOf(stage)} is used by another program: stop it, or set another HOLDFAST_TOPIC_PREFIX`,
    });
    expect(a.fatal).toHaveLength(1);
  }, 20_000);

  const member = { instance: 'stranger', incarnation: 'none', peer: '', zone: '' };
  const planOf = (memberIds: readonly string[], count: number, owner: number): Plan => ({
    version: 7n,
    generation: 1,
    members: memberIds.map((memberId) => ({ ...member, memberId })),
    slots: Array.from({ length: count }, () => ({ owner, standby: 0, prev: 0, prevEpoch: 0n, reason: 1 })),
    leader: 1,
  });
  const wrapped = (bytes: Buffer): Buffer => encodeAssignment('devices', [0], bytes);

  const handedOut: readonly (readonly [string, (memberIds: readonly string[]) => Buffer])[] = [
    ['plan cannot be read', () => wrapped(Buffer.from('ffffffff', 'hex'))],
    ['plan cannot be read', () => Buffer.from('0000ffffff', 'hex')], // KC5: no assignment either
    ['works with 16 slots', (ids) => wrapped(planCodec.encode(planOf(ids, 16, 1)))],
    ['slot 0 names member 99 of', (ids) => wrapped(planCodec.encode(planOf(ids, slots, 99)))],
  ];

  test('M4, LP3, KC5: foreign leaders hand out what is no plan for us: ours refuse it by name, hold nothing, and work once they are gone', async () => {
    const groups = await Promise.all(handedOut.map(async ([cause, make]) => ({ cause, make, stage: await open() })));
    await Promise.all(groups.map(({ cause, make, stage }) => outliveLeader(stage, cause, make)));
  }, 40_000);

  async function outliveLeader(
    stage: FaultStage,
    cause: string,
    make: (memberIds: readonly string[]) => Buffer,
  ): Promise<void> {
    const leader = foreign(stage, {
      protocols: reporting(stage, goodReport),
      assignment: ({ members }) => make(members.map(({ memberId }) => memberId)),
    });
    await leader.start();
    const logs = [collectedLog(), collectedLog()];
    const ours = logs.map(({ logger }, index) => stage.member(`m${index}`, { logger }));
    const starting = Promise.all(ours.map((each) => each.start(new AbortController().signal)));
    const refusals = await eventually(`both say: ${cause}`, 10_000, () => {
      const told = logs.map((log) => found(log, 'plan refused, asking for another one')[0]);
      return told.every((line) => line !== undefined) && told;
    });
    expect(leader.leads).toBe(true);
    for (const line of refusals) {
      expect(line).toMatchObject({ level: 'error', code: 'PLAN_INVALID' });
      expect(line['cause']).toContain(cause);
    }
    expect(ours.flatMap(({ events, fatal }) => [...events, ...fatal])).toEqual([]);
    await leader.leave();
    await starting;
    await stage.held(...ours.map((each): [LockMember, number] => [each, slots / 2]));
    expect(stage.overlaps()).toEqual([]);
    expect((await stage.audit()).problems).toEqual([]);
  }
});

suite('members of ours that do not agree', () => {
  test('O1: two runs with one instance id share the slots as any two members', async () => {
    const stage = await open();
    const [first, second] = [await stage.start('a'), await stage.start('a')];
    await stage.held([first, slots / 2], [second, slots / 2]);
    await systemClock.sleep(500);
    await first.stop();
    await stage.held([second, slots]);
    const holdings = [first, second].flatMap(({ events }, index) => holdingsOf(`run ${index}`, events));
    expect(overlapsOf(holdings)).toEqual([]);
    expect((await stage.audit()).problems).toEqual([]);
  }, 30_000);

  test('O1, O3, O17, L-5: a clock that jumps by a day, to and fro: it lets go or keeps, and comes back with higher epochs', async () => {
    const stage = await open();
    const a = await stage.start('a');
    const b = stage.child('b', {}, { jumpMs: dayMs });
    await stage.held([a, slots / 2], [b, slots / 2]);
    const allHeld = (): Promise<boolean> =>
      eventually('all slots are held', 10_000, () => new Set([...a.member.held(), ...b.held]).size === slots);

    const silence = watchSilence([a], a.member.held());
    const before = b.events.length;
    b.signal('SIGWINCH'); // a day behind: nothing is over
    const behindAtMs = systemClock.nowMs() - dayMs;
    await systemClock.sleep(1_000);
    expect(b.events.slice(before)).toEqual([]);
    const { epochs } = await b.stats();
    for (const slot of b.held) {
      const last = epochs.findLast((epoch) => epoch.slot === slot);
      expect(Math.abs((last?.ackedAtMs ?? 0) - behindAtMs - 1_000)).toBeLessThan(silenceMsMax); // it publishes on
    }
    expect(silence.end()).toBeLessThan(silenceMsMax);
    b.signal('SIGHUP'); // ahead by a day, which is as it was
    await eventually('it lets go', 3_000, () => named(b.events.slice(before), 'drop').length >= slots / 2);
    await allHeld();

    b.signal('SIGHUP'); // a day ahead: by the wall clock its lease is over, and no broker takes its records
    await eventually('it lets go of all', 5_000, () => b.held.length === 0);
    const dropped = b.events.length;
    await systemClock.sleep(500);
    const claimed = (): HostEvent[] => named(b.events.slice(dropped), 'begin');
    await eventually('it claims again', 10_000, () => claimed().length > 0);
    const ahead = claimed();
    expect(named(b.events.slice(dropped), 'activate')).toEqual([]);
    b.signal('SIGWINCH'); // as it was; what Kafka refused meanwhile was given back, and may be the other's now
    await allHeld();
    expect(named(a.events, 'drop')).toEqual([]);
    expect(stage.overlaps()).toEqual([]);
    const { problems, epochs: written } = await stage.audit();
    expect(problems).toEqual([]); // FA1: epochs grow, whatever the clock said
    for (const { slot, epoch } of ahead) {
      expect(written[slot]!.at(-1)!.epoch).toBeGreaterThan(BigInt(epoch)); // above those of its day ahead
    }
  }, 40_000);
});

suite('a rolling upgrade: members that speak only the former form of reports', () => {
  const protocolOf = async (stage: FaultStage): Promise<string> =>
    (await describeGroup(stage.brokers, groupIdOf(stage))).protocol;
  const switches = (stage: FaultStage): Promise<boolean> =>
    eventually('the new form', 8_000, async () => (await protocolOf(stage)) === 'holdfast-2');

  test('O16: a former leader and its like are replaced one by one, the first of them killed', async () => {
    const stage = await open();
    const old: FaultChild = stage.child('old-1', { former: true });
    await stage.held([old, slots]);
    const other = await stage.start('old-2', { former: true });
    await stage.held([old, slots / 2], [other, slots / 2]);
    const one = await stage.start('new-1');
    await eventually('all share', 10_000, () => one.member.held().length >= 2);
    expect(await protocolOf(stage)).toBe('holdfast-1');
    old.kill();
    await stage.held([other, slots / 2], [one, slots / 2]);
    expect(await protocolOf(stage)).toBe('holdfast-1');
    const two = await stage.start('new-2');
    await eventually('all share', 10_000, () => two.member.held().length >= 2);
    await other.stop();
    await switches(stage);
    await stage.held([one, slots / 2], [two, slots / 2]);
    expect(stage.overlaps()).toEqual([]);
    expect((await stage.audit()).problems).toEqual([]);
  }, 40_000);

  test('O16: a new leader shares with a former member, and the form changes when that one is killed', async () => {
    const stage = await open();
    const one = await stage.start('new-1');
    expect(await protocolOf(stage)).toBe('holdfast-2');
    const old = stage.child('old-1', { former: true });
    await stage.held([one, slots / 2], [old, slots / 2]);
    expect(await protocolOf(stage)).toBe('holdfast-1');
    old.kill();
    await stage.held([one, slots]);
    await switches(stage);
    expect(stage.overlaps()).toEqual([]);
    expect((await stage.audit()).problems).toEqual([]);
    expect(named(one.events, 'drop')).toEqual([]);
  }, 40_000);
});
