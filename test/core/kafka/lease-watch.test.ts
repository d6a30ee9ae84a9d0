import { describe, expect, test } from '@jest/globals';
import { extendLease, type Lease, muteLease, newLease } from '../../../core/kafka/lease.ts';
import { LeaseWatch } from '../../../core/kafka/lease-watch.ts';
import { type LockTimers } from '../../../core/kafka/lock-timers.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const timers: LockTimers = { sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 30_000, heartbeatMs: 500, guardMs: 1_000 };

/** A lease that everything was proved for at this moment. */
const proved = (nowMs: number): Lease => extendLease(extendLease(newLease(), 'join', nowMs), 'commit', nowMs);

class Scene {
  readonly clock = new FakeClock();
  readonly ends: number[] = [];
  readonly stalls: number[] = [];
  lease: Lease | null = proved(this.clock.monotonicMs());
  readonly watch = new LeaseWatch({
    timers,
    clock: this.clock,
    lease: () => this.lease,
    onEnd: () => {
      this.ends.push(this.clock.monotonicMs());
      this.lease = null;
      this.watch.renew();
    },
    onStall: (nowMs, lostMs) => {
      this.stalls.push(lostMs);
      if (this.lease !== null) this.lease = muteLease(this.lease, nowMs, lostMs);
      this.watch.renew();
    },
  });

  constructor() {
    this.watch.start();
    this.watch.renew();
  }

  /** Everything is proved anew. */
  beat(): void {
    this.lease = proved(this.clock.monotonicMs());
    this.watch.renew();
  }
}

describe('the end of a lease (L2, L3)', () => {
  test('is at S − G after what was last proved, to the millisecond, and by comparison before any timer', async () => {
    const scene = new Scene();
    const sentAtMs = scene.clock.monotonicMs();
    await scene.clock.advance(8_999);
    expect(scene.watch.live()).toBe(true);
    expect(scene.ends).toEqual([]);
    scene.clock.stall(1); // no timer has fired
    expect(scene.watch.live()).toBe(false);
    await scene.clock.advance(0);
    expect(scene.ends).toEqual([sentAtMs + 9_000]);
  });

  test('moves with every proof, and one timer is enough', async () => {
    const scene = new Scene();
    for (let beat = 0; beat < 30; beat += 1) {
      await scene.clock.advance(1_000);
      scene.beat();
      expect(scene.clock.armed).toBe(1);
    }
    expect(scene.ends).toEqual([]);
    const lastMs = scene.clock.monotonicMs();
    await scene.clock.advance(60_000);
    expect(scene.ends).toEqual([lastMs + 9_000]);
    expect(scene.clock.armed).toBe(0);
  });

  const lacking: readonly [what: string, lease: (nowMs: number) => Lease][] = [
    ['no proof of the coordinator', (nowMs) => extendLease(newLease(), 'join', nowMs)],
    ['no proof of joining', (nowMs) => extendLease(newLease(), 'commit', nowMs)],
    ['nothing', () => newLease()],
  ];
  test.each(lacking)('with %s it never began: not live, no timer, no end', async (_what, lease) => {
    const scene = new Scene();
    scene.lease = lease(scene.clock.monotonicMs());
    scene.watch.renew();
    expect(scene.watch.live()).toBe(false);
    await scene.clock.advance(60_000);
    expect(scene.ends).toEqual([]);
  });

  test('after `stop` nothing is live and nothing fires', async () => {
    const scene = new Scene();
    scene.watch.stop();
    expect(scene.watch.live()).toBe(false);
    expect(scene.clock.armed).toBe(0);
    await scene.clock.advance(60_000);
    expect(scene.ends).toEqual([]);
  });
});

describe('a tick (L3, L-4)', () => {
  const cases: readonly [what: string, halt: (clock: FakeClock) => void, verdict: 'fine' | 'stalled' | 'over'][] = [
    ['on time', () => undefined, 'fine'],
    ['late by half the guard', (clock) => clock.stall(500), 'fine'],
    ['later than half the guard', (clock) => clock.stall(501), 'stalled'],
    ['late by more than the lease', (clock) => clock.stall(9_000), 'over'],
    ['after a suspension of half the guard', (clock) => clock.suspend(500), 'fine'],
    ['after a suspension that the lease outlives', (clock) => clock.suspend(4_000), 'stalled'],
    [
      'after a suspension longer than the lease, which only the wall clock saw',
      (clock) => clock.suspend(9_000),
      'over',
    ],
    ['after the wall clock was set back', (clock) => clock.suspend(-3_600_000), 'stalled'],
  ];
  test.each(cases)('%s', async (_what, halt, verdict) => {
    const scene = new Scene();
    await scene.clock.advance(timers.heartbeatMs);
    halt(scene.clock);
    scene.watch.tick();
    if (verdict === 'fine') expect(scene.stalls).toEqual([]);
    if (verdict === 'stalled') expect(scene.stalls.length).toBe(1);
    expect(scene.ends.length).toBe(verdict === 'over' ? 1 : 0);
    expect(scene.watch.live()).toBe(verdict === 'fine');
  });

  test('after a suspension: the end moves forward by what the monotonic clock has missed (L-5)', async () => {
    const scene = new Scene();
    const sentAtMs = scene.clock.monotonicMs();
    await scene.clock.advance(timers.heartbeatMs);
    scene.clock.suspend(4_000);
    scene.watch.tick();
    expect(scene.stalls).toEqual([4_000]);
    await scene.clock.advance(60_000);
    expect(scene.ends).toEqual([sentAtMs + 5_000]);
  });

  test('without a lease says nothing, however late it is', () => {
    const scene = new Scene();
    scene.lease = null;
    scene.clock.stall(100_000);
    scene.watch.tick();
    expect([scene.stalls, scene.ends]).toEqual([[], []]);
  });
});
