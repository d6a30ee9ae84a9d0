import { describe, expect, test } from '@jest/globals';
import {
  type Answer,
  type Coordinator,
  type MemberRef,
  type ProbeProof,
  type Refusal,
} from '../../../core/kafka/coordinator.ts';
import { Heartbeats } from '../../../core/kafka/heartbeats.ts';
import { type LockTimers } from '../../../core/kafka/lock-timers.ts';
import { seededRandom } from '../../../core/random.ts';
import { FakeClock, settled } from '../../support/fake-clock.ts';

const timers: LockTimers = { sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 30_000, heartbeatMs: 1_000, guardMs: 1_000 };
const member: MemberRef = { memberId: 'm-1', generation: 4 };
const ok: Answer<null> = { kind: 'ok', value: null };
const refusal = (kind: Refusal): Answer<null> => ({ kind, error: new Error(kind) });

class Scene {
  readonly clock = new FakeClock();
  readonly said: string[] = [];
  readonly sent: string[] = [];
  current: MemberRef | null = member;
  synced: MemberRef | null = member;
  suspended = false;
  heartbeat: () => Promise<Answer<null>> = () => Promise.resolve(ok);
  probe: () => Promise<Answer<ProbeProof>> = () => Promise.resolve({ kind: 'ok', value: 'member' });
  readonly beats: Heartbeats;

  constructor() {
    const coordinator: Pick<Coordinator, 'heartbeat' | 'probe'> = {
      heartbeat: ({ generation }) => {
        this.sent.push(`heartbeat ${generation}`);
        return this.heartbeat();
      },
      probe: ({ generation }) => {
        this.sent.push(`probe ${generation}`);
        return this.probe();
      },
    };
    const startMs = this.clock.monotonicMs();
    this.beats = new Heartbeats({
      coordinator: coordinator as Coordinator,
      timers,
      clock: this.clock,
      random: seededRandom(1),
      current: () => this.current,
      synced: () => this.synced,
      suspended: () => this.suspended,
      accepted: (proof, sentAtMs) => this.said.push(`${proof} sent ${sentAtMs - startMs}`),
      refused: (kind, lane) => this.said.push(`${lane} ${kind}`),
    });
  }
}

describe('heartbeats and probes', () => {
  test('both go out once a period, and what they prove counts from when they were sent', async () => {
    const scene = new Scene();
    scene.heartbeat = async () => {
      await scene.clock.sleep(400);
      return ok;
    };
    scene.beats.start();
    await scene.clock.advance(2_900);
    expect(scene.said).toEqual([
      ...['commit sent 1000', 'join sent 1000', 'heartbeat sent 1000'],
      ...['commit sent 2000', 'join sent 2000', 'heartbeat sent 2000'],
    ]);
    scene.beats.stop();
    expect(scene.clock.armed).toBe(0);
  });

  const proofs: readonly [what: string, current: MemberRef | null, synced: MemberRef | null, said: string[]][] = [
    ['synced in the generation it carries', member, member, ['heartbeat sent 0', 'commit sent 0', 'join sent 0']],
    ['joined and not synced: no proof of joining', member, null, ['session sent 0', 'commit sent 0']],
    [
      'synced in an older generation: the same',
      member,
      { ...member, generation: 3 },
      ['session sent 0', 'commit sent 0'],
    ],
    ['no member: nothing is sent', null, null, []],
  ];
  test.each(proofs)('%s', async (_what, current, synced, said) => {
    const scene = new Scene();
    Object.assign(scene, { current, synced });
    scene.beats.now();
    await settled();
    expect(scene.said).toEqual(said);
  });

  const probes: readonly [ProbeProof, said: string[]][] = [
    ['member', ['session sent 0', 'commit sent 0']],
    ['rebalance', ['session sent 0', 'commit sent 0', 'probe rebalance']],
    ['nothing', ['session sent 0']],
  ];
  test.each(probes)(
    'C1: a probe that proves %s counts as that, also while the plan is awaited',
    async (value, said) => {
      const scene = new Scene();
      scene.synced = null;
      scene.probe = () => Promise.resolve({ kind: 'ok', value });
      scene.beats.now();
      await settled();
      expect(scene.said).toEqual(said);
    },
  );

  const refusals: readonly [Refusal, said: string[]][] = [
    ['rebalance', ['session sent 0', 'heartbeat rebalance']],
    ['unknown-member', ['heartbeat unknown-member']],
    ['illegal-generation', ['heartbeat illegal-generation']],
    ['fatal', ['heartbeat fatal']],
  ];
  test.each(refusals)('a heartbeat answered %s is said once and not repeated before its time', async (kind, said) => {
    const scene = new Scene();
    scene.heartbeat = () => Promise.resolve(refusal(kind));
    scene.probe = () => new Promise(() => undefined);
    scene.beats.now();
    await scene.clock.advance(900);
    expect(scene.said).toEqual(said);
    scene.beats.stop();
  });

  test('L4: one that was lost is repeated at once, with growing pauses no longer than a period', async () => {
    const scene = new Scene();
    let left = 3;
    scene.heartbeat = () => Promise.resolve((left -= 1) >= 0 ? refusal('lost') : ok);
    scene.probe = () => new Promise(() => undefined);
    scene.synced = null;
    scene.beats.now();
    await scene.clock.advance(1_000);
    expect(scene.said.slice(0, 3)).toEqual(['heartbeat lost', 'heartbeat lost', 'heartbeat lost']);
    expect(scene.said[3]).toMatch(/^session sent [1-9]/);
    expect(scene.sent.filter((line) => line.startsWith('heartbeat'))).toHaveLength(4);
    scene.beats.stop();
  });

  test('one of a kind at a time: an answer that hangs holds up its own kind only', async () => {
    const scene = new Scene();
    scene.heartbeat = () => new Promise(() => undefined);
    scene.beats.start();
    await scene.clock.advance(3_000);
    expect(scene.sent).toEqual(['heartbeat 4', 'probe 4', 'probe 4', 'probe 4']);
    scene.beats.stop();
  });

  test('L6: a member that cannot join stops beating, and begins again', async () => {
    const scene = new Scene();
    scene.suspended = true;
    scene.beats.start();
    await scene.clock.advance(3_000);
    expect(scene.sent).toEqual([]);
    scene.suspended = false;
    await scene.clock.advance(1_000);
    expect(scene.sent).toEqual(['heartbeat 4', 'probe 4']);
    scene.beats.stop();
  });

  test('an answer that comes after `stop` proves nothing', async () => {
    const scene = new Scene();
    scene.heartbeat = async () => {
      await scene.clock.sleep(10);
      return ok;
    };
    scene.probe = () => new Promise(() => undefined);
    scene.beats.now();
    await settled();
    scene.beats.stop();
    await scene.clock.advance(100);
    expect(scene.said).toEqual([]);
  });
});
