/**
 * The lock's faults on one real broker: workers killed, frozen and cut off, short versions with a session of 3 s. Every
 * test ends with the audit of the whole log (fault-audit.ts) and, where processes were not frozen, with O1 by the wall clock.
 */
import { afterEach, describe, expect, test } from '@jest/globals';
import { systemClock } from '../../core/clock.ts';
import { KafkaConnection } from '../../core/kafka/connection.ts';
import { RequestBody } from '../../core/kafka/request-body.ts';
import { ResponseBody } from '../../core/kafka/response-body.ts';
import { groupOf } from '../../schemas/topics.ts';
import { eventually } from '../support/eventually.ts';
import { sayFigures, spanOf } from '../support/fault-figures.ts';
import { freezeOwner } from '../support/fault-frozen.ts';
import { gapsOf } from '../support/fault-holdings.ts';
import { FaultRival } from '../support/fault-rival.ts';
import { FaultStage } from '../support/fault-stage.ts';
import { FaultWishes } from '../support/fault-wishes.ts';
import { hasTestKafka } from '../support/kafka.ts';
import { type Link } from '../support/link.ts';
import { fastTimers, kafkaFor, named, type HostEvent } from '../support/lock-member.ts';

const slots = 4;
const { sessionTimeoutMs, heartbeatMs, guardMs } = fastTimers;
/** Rejoin of everybody, plan, claim and first record on a busy two-core machine. */
const takeoverMs = 2_500;
/** A timer on such a machine. */
const lateMsMax = 150;
const joinGroup = 11;

const stages: FaultStage[] = [];
afterEach(async () => {
  await Promise.all(stages.splice(0).map((stage) => stage.end()));
}, 30_000);

async function open(): Promise<FaultStage> {
  const stage = await FaultStage.create(slots);
  stages.push(stage);
  return stage;
}

const suite = hasTestKafka ? describe : describe.skip;

suite('faults of workers', () => {
  test.each([
    ['O13: kill −9 of an owner: its peers see it, and take its slots over at once', true],
    ['O1, O3, O4, O5: kill −9 of an owner whom nobody watches: the other takes its slots over after S', false],
  ])(
    '%s, with higher epochs',
    async (_name, peers) => {
      const stage = await open();
      const b = stage.child('b', { peers });
      const a = await stage.start('a', { peers });
      await stage.held([a, 2], [b, 2]);
      const lost = b.held;
      b.kill();
      await stage.held([a, slots]);
      const tookMs = systemClock.nowMs() - b.goneAtMs;
      expect(tookMs).toBeLessThan(peers ? sessionTimeoutMs / 2 : sessionTimeoutMs + heartbeatMs + takeoverMs);
      if (!peers) expect(tookMs).toBeGreaterThan(sessionTimeoutMs - 2 * heartbeatMs);
      const before = new Map(named(b.events, 'begin').map(({ slot, epoch }) => [slot, epoch]));
      for (const slot of lost) {
        const taken = named(a.events, 'begin').findLast((event) => event.slot === slot);
        expect(BigInt(taken?.epoch ?? 0)).toBeGreaterThan(BigInt(before.get(slot) ?? 0));
        expect(taken?.takeover).toEqual({ fromEpoch: before.get(slot), fromSeq: '0', reason: 'crash' });
      }
      expect(stage.overlaps()).toEqual([]);
      expect((await stage.audit()).problems).toEqual([]);
    },
    30_000,
  );

  test('O6, O11: SIGTERM of an owner: its slots are handed over at once, each where the log says that it ended', async () => {
    const stage = await open();
    const b = stage.child('b');
    const a = await stage.start('a');
    await stage.held([a, 2], [b, 2]);
    const handed = b.held;
    const stoppedMs = systemClock.monotonicMs();
    b.signal('SIGTERM');
    await stage.held([a, slots]);
    expect(systemClock.monotonicMs() - stoppedMs).toBeLessThan(sessionTimeoutMs); // no timeout was waited for
    await eventually('the process ended by itself', 5_000, () => b.process.exitCode === 0);
    expect(b.printed.at(-1)).toBe('stopped');
    const { problems, epochs } = await stage.audit();
    for (const slot of handed) {
      const { takeover } = named(a.events, 'begin').findLast((event) => event.slot === slot) ?? {};
      const ended = epochs[slot]?.find(({ epoch }) => String(epoch) === takeover?.fromEpoch);
      expect(takeover).toMatchObject({ fromSeq: String(ended?.lastSeq), reason: 'drain' });
    }
    expect(problems).toEqual([]);
    expect(stage.overlaps()).toEqual([]);
  }, 30_000);

  /** The bystander `a` holds slots while the leader is lost inside a rebalance that `c` began. */
  async function loseLeader(how: 'killed' | 'frozen'): Promise<void> {
    const stage = await open();
    const { links, routes } = await stage.links();
    const b = stage.child('b', { routes, peers: how === 'frozen' }); // killed, nobody sees it die
    await stage.held([b, slots]);
    const a = await stage.start('a');
    await stage.held([a, 2], [b, 2]);
    const kept = a.member.held();
    let lostAtMs = Number.NaN;
    for (const link of links) {
      link.onRequest = (apiKey) => {
        if (apiKey !== joinGroup || link.blackHole || link.replies.blackHole) return;
        link.replies.blackHole = true; // it has joined, and never learns of it
        setImmediate(() => {
          lostAtMs = systemClock.nowMs();
          if (how === 'killed') b.kill();
          else b.signal('SIGSTOP');
        });
      };
    }
    const c = await stage.start('c');
    expect(lostAtMs).toBeLessThan(systemClock.nowMs());
    await stage.held([a, 2], [c, 2]);
    const recoveredMs = systemClock.nowMs() - lostAtMs;
    expect(recoveredMs).toBeLessThan(sessionTimeoutMs + heartbeatMs + takeoverMs);
    // While a Sync is awaited nobody's commit is taken, and still no lease of a bystander ends.
    const leftAlone = (): HostEvent[] => named(a.events, 'drop').filter(({ slot }) => kept.includes(slot));
    expect(leftAlone()).toEqual([]);
    const silences = a.stats().epochs.filter(({ slot }) => kept.includes(slot));
    const silenceMs = Math.max(...silences.map(({ silenceMsMax }) => silenceMsMax));
    expect(silenceMs).toBeLessThan(sessionTimeoutMs / 2);
    sayFigures(`leader ${how} between Join and Sync`, { recoveredMs, bystandersSilentMsMax: silenceMs, dropped: 0 });
    if (how === 'frozen') {
      for (const link of links) {
        link.onRequest = () => undefined;
        link.replies.blackHole = false;
      }
      const thawedAtMs = systemClock.nowMs();
      b.signal('SIGCONT');
      await eventually('it drops', 5_000, () => named(b.events, 'drop').length === 2);
      for (const { atMs } of named(b.events, 'drop')) expect(atMs - thawedAtMs).toBeLessThan(100);
      await eventually('it holds a slot again', 10_000, () => b.held.length > 0);
      expect(leftAlone()).toEqual([]);
    } else {
      expect(stage.overlaps()).toEqual([]); // of a frozen process the events are late
    }
    expect((await stage.audit()).problems).toEqual([]);
  }

  test('O1, O9, O16: a leader is killed, or frozen, between its JoinGroup and its SyncGroup: the others go on streaming and plan without it', async () => {
    await Promise.all([loseLeader('killed'), loseLeader('frozen')]); // groups of their own
  }, 40_000);

  test('O5, O13: a freeze shorter than the lease moves nothing and loses nothing', async () => {
    const stage = await open();
    const b = stage.child('b');
    const a = await stage.start('a');
    await stage.held([a, 2], [b, 2]);
    const counts = [a.events.length, b.events.length];
    b.signal('SIGSTOP');
    await systemClock.sleep(sessionTimeoutMs / 2);
    b.signal('SIGCONT');
    const thawedAtMs = systemClock.nowMs();
    await systemClock.sleep(sessionTimeoutMs / 2 + 500); // a session that was not renewed would be over
    expect([a.events.length, b.events.length]).toEqual(counts);
    for (const { ackedAtMs } of (await b.stats()).epochs) expect(ackedAtMs).toBeGreaterThan(thawedAtMs);
    expect((await stage.audit()).problems).toEqual([]);
    expect(stage.overlaps()).toEqual([]);
  }, 30_000);

  test.each([
    ['O2, O4, O8, O13: frozen past its lease, an owner publishes nothing when it thaws and drops within 100 ms', true],
    ['O4, the control: without its guard it publishes, and the broker refuses all of it', false],
  ])(
    '%s',
    async (_name, guard) => {
      const stage = await open();
      const b = stage.child('b', { guard });
      const figures = await freezeOwner(stage, b, await stage.start('a'));
      // O13: its listener is silent, which is no evidence.
      expect(Math.min(...figures.takenAfterMs)).toBeGreaterThan(sessionTimeoutMs - 2 * heartbeatMs);
      for (const afterMs of figures.droppedAfterMs) expect(afterMs).toBeLessThan(100);
      expect(figures.appendedLate).toBe(guard ? 0 : figures.moved.length);
      if (guard) expect(figures.refusedBatches).toBe(0);
      else expect(figures.refusedBatches).toBeGreaterThan(0);
      expect(figures.acceptedLate).toBe(0);
      expect(figures.lost).toMatchObject({ level: 'warn', event: 'lease-end' });
      expect((await stage.audit()).problems).toEqual([]); // FA1: nothing of it behind its successor
    },
    30_000,
  );

  async function cutOff(cut: (link: Link) => void): Promise<void> {
    const stage = await open();
    const { links, routes } = await stage.links();
    const [a, b] = await Promise.all([stage.start('a'), stage.start('b', { routes })]);
    await stage.held([a, 2], [b, 2]);
    const lost = b.member.held();
    const cutAtMs = systemClock.nowMs();
    links.forEach(cut);
    await stage.held([a, slots], [b, 0]);
    for (const { atMs } of named(b.events, 'drop')) {
      // Its last accepted request was sent up to H before the cut, and a beat later where it was just to be sent.
      expect(atMs - cutAtMs).toBeGreaterThan(sessionTimeoutMs - guardMs - 2 * heartbeatMs);
      expect(atMs - cutAtMs).toBeLessThan(sessionTimeoutMs - guardMs + lateMsMax);
    }
    const taken = named(a.events, 'begin').slice(-lost.length);
    expect(taken.map(({ slot }) => slot).toSorted()).toEqual(lost);
    for (const { atMs } of taken) expect(atMs - cutAtMs).toBeLessThan(2 * sessionTimeoutMs + takeoverMs);
    for (const link of links) link.blackHole = false;
    await stage.held([a, 2], [b, 2]); // it comes back by itself
    expect(stage.overlaps()).toEqual([]);
    expect((await stage.audit()).problems).toEqual([]);
  }

  test('O1, O2: cut off from Kafka, in one direction or both, an owner closes at S − G after its last accepted request, and others follow', async () => {
    await Promise.all([
      cutOff((link) => (link.blackHole = true)),
      cutOff((link) => (link.requests.blackHole = true)),
      cutOff((link) => (link.replies.blackHole = true)),
    ]); // groups of their own
  }, 40_000);

  test('O5: answers of produce and of the coordinator are lost again and again: nobody drops, nothing is lost or repeated', async () => {
    const stage = await open();
    const { links, routes } = await stage.links();
    const a = await stage.start('a', { routes, produceTimeoutMs: 500 });
    await stage.held([a, slots]);
    for (let round = 0; round < 4; round += 1) {
      for (const link of links) link.swallowing = true;
      await systemClock.sleep(300 + 200 * round); // below S − G
      for (const link of links) link.swallowing = false;
      await systemClock.sleep(500);
    }
    await a.stop();
    expect(a.stats().retriedBatches).toBeGreaterThan(0);
    expect(a.stats().reinits).toBe(0);
    expect(named(a.events, 'drop')).toEqual([]);
    expect(named(a.events, 'begin')).toHaveLength(slots);
    const { problems, epochs } = await stage.audit();
    expect(problems).toEqual([]);
    expect(epochs.map((seen) => seen.length)).toEqual(new Array(slots).fill(1));
  }, 30_000);

  test('O4, O14: a rightful owner fenced by a late InitProducerId takes its id again and loses no record, and no slot moves', async () => {
    const stage = await open();
    const [a, b] = await Promise.all([stage.start('a'), stage.start('b')]);
    await stage.held([a, 2], [b, 2]);
    const slot = a.member.held()[0]!;
    const epoch = named(a.events, 'activate').findLast((event) => event.slot === slot)!.epoch;
    const rival = new FaultRival(stage, slot, BigInt(epoch) - 1n);
    await rival.takeProducerId();
    // Slots that were claimed together have the same epoch.
    const seen = () => a.stats().epochs.find((entry) => entry.slot === slot && entry.epoch === epoch)!;
    const acked = (): bigint => BigInt(seen().ackedSeq);
    const moreAcked = (from: bigint): Promise<boolean> =>
      eventually('the owner publishes', 5_000, () => acked() > from + 10n);
    await moreAcked(acked());
    expect(a.stats()).toMatchObject({ reinits: 0, refusedTakenAtMs: [] }); // an id without a batch displaces nobody
    await rival.append();
    const appendedAtMs = systemClock.nowMs();
    await moreAcked(acked());
    sayFigures('owner fenced by a late InitProducerId', {
      recoveredMs: systemClock.nowMs() - appendedAtMs,
      ownerSilentMsMax: seen().silenceMsMax,
      refusedBatches: a.stats().refusedTakenAtMs.length,
      reinits: a.stats().reinits,
    });
    expect(a.stats()).toMatchObject({ reinits: 1, fenced: 0 });
    expect(a.stats().refusedTakenAtMs.length).toBeGreaterThan(0);
    for (const { events } of [a, b]) expect(events.filter(({ atMs }) => atMs >= appendedAtMs)).toEqual([]);
    await a.stop(); // O11: what it says of its end counts the records that were sent again
    await stage.held([b, slots]);
    const { problems, epochs } = await stage.audit();
    const taken = named(b.events, 'begin').findLast((event) => event.slot === slot)!;
    const ended = epochs[slot]!.find((found) => String(found.epoch) === epoch)!;
    expect(taken.takeover).toEqual({ fromEpoch: epoch, fromSeq: String(ended.lastSeq), reason: 'drain' });
    // The rival's record is in the log, for the broker prefers whoever asked last; readers drop it by its epoch (O4).
    expect(problems).toEqual([expect.stringMatching(/^FA1 .* seq 1 of rival: behind epoch/)]);
    expect(stage.overlaps()).toEqual([]);
  }, 30_000);

  test('O6, O11, O16: two slots are moved at once by wishes while they publish: both end where wished, and the wishes are withdrawn', async () => {
    const stage = await open();
    const [a, b] = await Promise.all([stage.start('a'), stage.start('b')]);
    await stage.held([a, 2], [b, 2]);
    const wishes = await FaultWishes.of(stage);
    const [fromA, fromB] = [a.member.held()[0]!, b.member.held()[0]!];
    const wishedAtMs = systemClock.nowMs();
    await wishes.place(
      new Map([
        [fromA, 'b'],
        [fromB, 'a'],
      ]),
    );
    const asWished = (): boolean => a.member.held().includes(fromB) && b.member.held().includes(fromA);
    await eventually('both slots are where they were wished', 5_000, asWished);
    const movedMs = systemClock.nowMs() - wishedAtMs;
    await eventually('the wishes are withdrawn', 5_000, () => wishes.standing.length === 0);
    const withdrawnMs = systemClock.nowMs() - wishedAtMs;
    await systemClock.sleep(1_500); // a withdrawn wish starts another round, which must not undo it
    expect(asWished()).toBe(true);
    const moves = gapsOf(stage.holdings()).filter(({ fromMs }) => fromMs >= wishedAtMs);
    expect(moves.map(({ slot }) => slot).toSorted()).toEqual([fromA, fromB].toSorted());
    const gapsMs = spanOf(moves.map(({ fromMs, toMs }) => toMs - fromMs));
    sayFigures('two slots moved at once by wishes', { movedMs, withdrawnMs, gapsMs });
    for (const { events } of [a, b]) expect(named(events, 'drop')).toEqual([]);
    const { problems, epochs } = await stage.audit();
    for (const [member, slot] of [
      [a, fromB],
      [b, fromA],
    ] as const) {
      const { takeover } = named(member.events, 'begin').findLast((event) => event.slot === slot)!;
      const ended = epochs[slot]!.find((seen) => String(seen.epoch) === takeover?.fromEpoch);
      expect(takeover).toMatchObject({ fromSeq: String(ended?.lastSeq), reason: 'move' });
    }
    expect(problems).toEqual([]);
    expect(stage.overlaps()).toEqual([]);
  }, 30_000);

  test('O3, C6: the empty group is deleted and begun again: epochs go on above the former ones, whatever the clock says', async () => {
    const stage = await open();
    const former = await stage.start('a', { wallAheadMs: 1_800_000 }); // as far as Kafka takes it
    await stage.held([former, slots]);
    const before = new Map(named(former.events, 'begin').map(({ slot, epoch }) => [slot, BigInt(epoch)]));
    for (const epoch of before.values()) expect(epoch).toBeGreaterThan(BigInt(systemClock.nowMs() + 1_700_000));
    await former.stop();
    await deleteGroup(stage.brokers, groupOf(stage.prefix, 'ingest'));
    const [a, b] = await Promise.all([stage.start('a'), stage.start('b')]);
    await stage.held([a, 2], [b, 2]);
    for (const { slot, epoch } of [...named(a.events, 'begin'), ...named(b.events, 'begin')]) {
      expect(BigInt(epoch)).toBeGreaterThan(before.get(slot) ?? 0n);
    }
    expect(stage.overlaps()).toEqual([]);
    expect((await stage.audit()).problems).toEqual([]);
  }, 30_000);
});

/** Resolves when Kafka has forgotten the group, its generation and its committed offsets. */
async function deleteGroup(brokers: readonly string[], groupId: string): Promise<void> {
  const options = { name: 'delete', requestTimeoutMs: 5_000 };
  const connection = new KafkaConnection(kafkaFor(brokers, 'delete'), options);
  try {
    const coordinator = await connection.coordinator(groupId, 'group');
    const body = new RequestBody().array([groupId], (item, id) => item.string(id)).build();
    const answer = new ResponseBody(await coordinator.send(42, 1, body));
    answer.int32(); // throttle time
    expect(answer.array((item) => [item.string(), item.int16()])).toEqual([[groupId, 0]]);
  } finally {
    connection.destroy();
  }
}
