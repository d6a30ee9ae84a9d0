import { describe, expect, test } from '@jest/globals';
import { type Plan, planCodec } from '../../../schemas/ownership.ts';
import { type Coordinator } from '../../../core/kafka/coordinator.ts';
import { decodePlan } from '../../../core/kafka/leader-plan.ts';
import { type LockTimers } from '../../../core/kafka/lock-timers.ts';
import { Membership } from '../../../core/kafka/membership.ts';
import { createLogger } from '../../../core/logger.ts';
import { seededRandom } from '../../../core/random.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const timers: LockTimers = { sessionTimeoutMs: 6_000, rebalanceTimeoutMs: 60_000, heartbeatMs: 500, guardMs: 500 };
const leader = { instance: 'i-9', incarnation: 'z', memberId: 'm-9', peer: '', zone: '' };
const self = { instance: 'i-1', incarnation: 'a', memberId: 'm-1', peer: '', zone: '' };
const slot = { owner: 2, standby: 1, prev: 0, prevEpoch: 0n, reason: 1 };
const sound: Plan = { version: 4n, generation: 1, members: [leader, self], slots: [slot, slot], leader: 1 };

/** A member that does not lead; every event is answered as the worker would. */
class Scene {
  readonly clock = new FakeClock();
  readonly joinedAtMs: number[] = [];
  readonly events: string[] = [];
  readonly lines: Record<string, unknown>[] = [];
  bytes: Buffer = planCodec.encode(sound);
  readonly membership: Membership;

  constructor() {
    const coordinator: Pick<Coordinator, 'join' | 'sync' | 'reset'> = {
      join: () => {
        this.joinedAtMs.push(this.clock.monotonicMs());
        const generation = this.joinedAtMs.length;
        return Promise.resolve({ kind: 'ok', value: { memberId: 'm-1', generation, leader: false, members: [] } });
      },
      sync: () => Promise.resolve({ kind: 'ok', value: this.bytes }),
      reset: () => undefined,
    };
    const destination = { write: (line: string) => void this.lines.push(JSON.parse(line) as Record<string, unknown>) };
    this.membership = new Membership({
      coordinator: coordinator as Coordinator,
      timers,
      clock: this.clock,
      random: seededRandom(3),
      dispatch: ({ kind }) => {
        this.events.push(kind);
        if (kind === 'joined') this.membership.sync();
        if (kind === 'rebalance') this.membership.join(false);
      },
      report: () => [{ name: 'holdfast-2', report: Buffer.from('report') }],
      makePlan: () => {
        throw new Error('it does not lead');
      },
      readPlan: (bytes, memberId) => decodePlan(bytes, 2, memberId),
      logger: createLogger({ level: 'info', format: 'json', destination }),
      closed: () => Promise.resolve(),
    });
  }
}

describe('M4: a plan that is none', () => {
  const plans: readonly [what: string, bytes: Buffer, cause: string, then?: string][] = [
    ['no bytes at all', Buffer.alloc(0), 'gave this process no plan'],
    ['bytes of another program', Buffer.from('\xff\xffother', 'latin1'), 'cannot be read'],
    ['of another number of slots', planCodec.encode({ ...sound, slots: [slot] }), 'HOLDFAST_SLOTS', 'unknown-member'],
    ['with numbers of nobody', planCodec.encode({ ...sound, slots: [slot, { ...slot, owner: 3 }] }), 'instance i-9'],
    ['without us', planCodec.encode({ ...sound, members: [leader, leader] }), 'instance i-9', 'unknown-member'],
    ['with a version that leaves no other', planCodec.encode({ ...sound, version: 1n << 63n }), 'contradictory'],
  ];
  test.each(plans)('%s: refused by name, and nothing is adopted', async (_what, bytes, cause, then = 'rebalance') => {
    const scene = new Scene();
    scene.bytes = bytes;
    scene.membership.join(true);
    await scene.clock.advance(50);
    expect(scene.lines).toHaveLength(1);
    expect(scene.lines[0]).toMatchObject({ level: 'error', code: 'PLAN_INVALID', bytes: bytes.length });
    expect(scene.lines[0]!['cause']).toContain(cause);
    expect(scene.events).toEqual(['joined', then]);
    expect(scene.membership.synced()).toBeNull();
    scene.membership.stop();
    expect(scene.clock.armed).toBe(0);
  });

  test('it is asked for again with growing pauses of at most 1.5 s, and told once in ten seconds', async () => {
    const scene = new Scene();
    scene.bytes = Buffer.from('none');
    scene.membership.join(true);
    await scene.clock.advance(9_900);
    const pauses = scene.joinedAtMs.slice(1).map((atMs, index) => atMs - scene.joinedAtMs[index]!);
    expect(pauses[0]).toBeLessThan(150);
    expect(pauses.length).toBeGreaterThan(8);
    for (const pause of pauses.slice(4)) expect(pause).toBeGreaterThanOrEqual(500);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(1_500);
    expect(scene.lines).toHaveLength(1);
    await scene.clock.advance(2_000);
    expect(scene.lines).toHaveLength(2);
    scene.bytes = planCodec.encode(sound);
    await scene.clock.advance(1_500);
    expect(scene.events.at(-1)).toBe('synced');
    expect(scene.membership.synced()?.plan).toEqual(sound);
    const { length } = scene.joinedAtMs;
    scene.membership.join(false); // after a plan the back-off begins anew
    await scene.clock.advance(1);
    expect(scene.joinedAtMs).toHaveLength(length + 1);
  });

  test('who is left out comes back after 10 s, later each time, and not as the member it was', async () => {
    const scene = new Scene();
    scene.bytes = planCodec.encode({ ...sound, members: [leader, leader] });
    scene.membership.join(true);
    await scene.clock.advance(50);
    scene.membership.join(true); // as the worker does
    await scene.clock.advance(9_900);
    expect(scene.joinedAtMs).toHaveLength(1);
    await scene.clock.advance(1_800);
    expect(scene.joinedAtMs).toHaveLength(2);
    scene.membership.join(true);
    await scene.clock.advance(19_900);
    expect(scene.joinedAtMs).toHaveLength(2);
    scene.membership.stop();
  });

  test('what was adopted before stays what it was', async () => {
    const scene = new Scene();
    scene.membership.join(true);
    await scene.clock.advance(10);
    scene.bytes = Buffer.from('none');
    scene.membership.join(false);
    await scene.clock.advance(10);
    expect(scene.membership.synced()).toMatchObject({ member: { generation: 1 }, plan: { version: 4n } });
    expect(scene.membership.current()?.generation).toBe(2);
    scene.membership.stop();
  });
});
