import { describe, expect, test } from '@jest/globals';
import { type Plan, type PlanSlot } from '../../../schemas/ownership.ts';
import { deferred } from '../../../core/deferred.ts';
import { type Answer } from '../../../core/kafka/coordinator.ts';
import { Neighbours } from '../../../core/kafka/neighbours.ts';
import { type WorkerEvent } from '../../../core/kafka/worker-state.ts';
import { silentLogger } from '../../../core/logger.ts';
import { FakeClock, settled } from '../../support/fake-clock.ts';
import { refusal, ScriptedPeers } from '../../support/scripted-lock.ts';

const ok: Answer<null> = { kind: 'ok', value: null };

/** Members m-1 … m-`count`; slots by owner and standby. */
function planOf(count: number, slots: readonly (readonly [owner: number, standby: number])[] = []): Plan {
  const members = Array.from({ length: count }, (_, index) => ({
    instance: `i-${index + 1}`,
    incarnation: `run-${index + 1}`,
    memberId: `m-${index + 1}`,
    peer: `10.0.0.${index + 1}:7`,
    zone: '',
  }));
  const slotOf = ([owner, standby]: readonly [number, number]): PlanSlot => ({
    owner,
    standby,
    prev: 0,
    prevEpoch: 0n,
    reason: 1,
  });
  return { version: 1n, generation: 4, members, slots: slots.map(slotOf), leader: 1 };
}

class Scene {
  readonly clock = new FakeClock();
  readonly peers = new ScriptedPeers();
  readonly events: WorkerEvent[] = [];
  readonly left: string[] = [];
  /** First to last, then `lost`. */
  readonly answers: Answer<null>[] = [];
  hold: Promise<unknown> = Promise.resolve();
  readonly neighbours = new Neighbours({
    coordinator: {
      leave: async (memberId) => {
        this.left.push(memberId);
        await this.hold;
        return this.answers.shift() ?? refusal('lost');
      },
    },
    peers: this.peers,
    clock: this.clock,
    logger: silentLogger,
    dispatch: (event) => this.events.push(event),
  });

  get kinds(): string[] {
    return this.events.map(({ kind }) => kind);
  }

  get watched(): string[] {
    return this.peers.watched.map(({ memberId }) => memberId);
  }
}

describe('who is watched', () => {
  test('in a group of up to 16 everybody but ourselves, at the address of the plan', () => {
    const scene = new Scene();
    scene.neighbours.adopted(planOf(16), 3);
    expect(scene.watched).toHaveLength(15);
    expect(scene.watched).not.toContain('m-3');
    expect(scene.peers.watched[0]).toEqual({ memberId: 'm-1', incarnation: 'run-1', address: '10.0.0.1:7' });
  });

  test('in a larger one those whom we stand by for', () => {
    const scene = new Scene();
    const slots = [
      [1, 3],
      [3, 1], // ours
      [17, 3],
      [1, 3],
      [2, 4],
      [0, 3], // nobody’s
    ] as const;
    scene.neighbours.adopted(planOf(17, slots), 3);
    expect(scene.watched).toEqual(['m-1', 'm-17']);
    scene.neighbours.adopted(planOf(17), 3);
    expect(scene.watched).toEqual([]);
  });

  test('nobody, where the plan does not have us', () => {
    const scene = new Scene();
    scene.neighbours.adopted(planOf(2), 1);
    expect(scene.watched).toEqual(['m-2']);
    scene.neighbours.adopted(planOf(2), 0);
    expect(scene.watched).toEqual([]);
  });
});

describe('a process that is gone', () => {
  test('NB2: LeaveGroup is accepted, and only then the rebalance is joined and the others are hurried', async () => {
    const scene = new Scene();
    const answered = deferred<undefined>();
    scene.hold = answered.promise;
    scene.answers.push(ok);
    scene.neighbours.adopted(planOf(2), 1);
    const removed = scene.neighbours.removeGone('m-2');
    await settled();
    expect([scene.left, scene.kinds, scene.peers.nudges]).toEqual([['m-2'], [], 0]);
    answered.resolve(undefined);
    await removed;
    expect([scene.left, scene.kinds, scene.peers.nudges]).toEqual([['m-2'], ['rebalance'], 1]);
    expect(scene.clock.armed).toBe(0);
  });

  test.each(['unknown-member', 'illegal-generation', 'rebalance', 'refused', 'fatal'] as const)(
    'answered %s: somebody was faster, a heartbeat tells what goes on, and nobody is hurried',
    async (kind) => {
      const scene = new Scene();
      scene.answers.push(refusal(kind));
      scene.neighbours.adopted(planOf(2), 1);
      await scene.neighbours.removeGone('m-2');
      expect([scene.left, scene.kinds, scene.peers.nudges]).toEqual([['m-2'], ['nudge'], 0]);
    },
  );

  test('unanswered, LeaveGroup is sent again after the coordinator was looked for, every 100 ms', async () => {
    const scene = new Scene();
    scene.answers.push(refusal('lost'), refusal('lost'), ok);
    scene.neighbours.adopted(planOf(2), 1);
    const removed = scene.neighbours.removeGone('m-2');
    await scene.clock.advance(199);
    expect(scene.left).toHaveLength(2);
    await scene.clock.advance(1);
    await removed;
    expect(scene.left).toEqual(['m-2', 'm-2', 'm-2']);
    expect(scene.events[0]).toEqual({ kind: 'coordinator-lost', lane: 'group' });
    expect(scene.kinds).toEqual(['coordinator-lost', 'coordinator-lost', 'rebalance']);
  });

  test('ten times at most: the session timeout does the rest', async () => {
    const scene = new Scene();
    scene.neighbours.adopted(planOf(2), 1);
    const removed = scene.neighbours.removeGone('m-2');
    await scene.clock.advance(10_000);
    await removed;
    expect(scene.left).toHaveLength(10);
    expect(scene.kinds).not.toContain('rebalance');
    expect(scene.clock.armed).toBe(0);
  });

  test('NB1: who is not in the adopted plan is left alone, and so is everybody before there is one', async () => {
    const scene = new Scene();
    await scene.neighbours.removeGone('m-2');
    scene.neighbours.adopted(planOf(2), 1);
    await scene.neighbours.removeGone('m-3');
    expect([scene.left, scene.kinds]).toEqual([[], []]);
  });

  test('NB1: a plan without the member ends the repeats', async () => {
    const scene = new Scene();
    scene.neighbours.adopted(planOf(2), 1);
    const removed = scene.neighbours.removeGone('m-2');
    await scene.clock.advance(150);
    scene.neighbours.adopted(planOf(1), 1);
    await scene.clock.advance(1_000);
    await removed;
    expect(scene.left).toHaveLength(2);
  });

  test('a later plan that still knows the member does not: its evidence comes only once', async () => {
    const scene = new Scene();
    scene.neighbours.adopted(planOf(2), 1);
    const removed = scene.neighbours.removeGone('m-2');
    await scene.clock.advance(150);
    scene.neighbours.adopted({ ...planOf(2), version: 2n, generation: 5 }, 1);
    scene.answers.push(ok);
    await scene.clock.advance(100);
    await removed;
    expect(scene.kinds.at(-1)).toBe('rebalance');
  });
});

describe('hurry (NB3)', () => {
  test('twice, 10 and 100 ms after a Join or Leave of ours', async () => {
    const scene = new Scene();
    scene.neighbours.hurrySoon();
    const after: number[] = [];
    for (const ms of [9, 1, 89, 1, 1_000]) {
      await scene.clock.advance(ms);
      after.push(scene.peers.nudges);
    }
    expect(after).toEqual([0, 1, 1, 2, 2]);
    expect(scene.clock.armed).toBe(0);
  });
});

describe('stopped', () => {
  test('nobody is hurried any more', async () => {
    const scene = new Scene();
    scene.neighbours.hurrySoon();
    scene.neighbours.stop();
    scene.neighbours.hurrySoon();
    expect(scene.clock.armed).toBe(0);
    await scene.clock.advance(1_000);
    expect(scene.peers.nudges).toBe(0);
  });

  test('an answer that comes afterwards sets nothing off', async () => {
    const scene = new Scene();
    const answered = deferred<undefined>();
    scene.hold = answered.promise;
    scene.answers.push(ok);
    scene.neighbours.adopted(planOf(2), 1);
    const removed = scene.neighbours.removeGone('m-2');
    await settled();
    scene.neighbours.stop();
    answered.resolve(undefined);
    await removed;
    expect([scene.kinds, scene.peers.nudges]).toEqual([[], 0]);
  });

  test('between two tries: there is no other one', async () => {
    const scene = new Scene();
    scene.neighbours.adopted(planOf(2), 1);
    const removed = scene.neighbours.removeGone('m-2');
    await scene.clock.advance(50);
    scene.neighbours.stop();
    await removed;
    await scene.neighbours.removeGone('m-2');
    expect(scene.left).toHaveLength(1);
    expect(scene.clock.armed).toBe(0);
  });
});
