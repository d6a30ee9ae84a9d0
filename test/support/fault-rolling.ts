import { systemClock } from '../../core/clock.ts';
import { eventually } from './eventually.ts';
import { type FaultChild } from './fault-child.ts';
import { gapsOf } from './fault-holdings.ts';
import { type FaultStage } from './fault-stage.ts';

export interface RollingFigures {
  readonly children: readonly FaultChild[];
  readonly moves: number;
  /** Times in which nobody held a slot that moved. */
  readonly gapsMs: readonly number[];
  readonly tookMs: number;
}

/** Processes that share all slots evenly are replaced one by one, the next when everybody has a share again. */
export async function rollingRestart(stage: FaultStage, running: readonly FaultChild[]): Promise<RollingFigures> {
  const share = stage.slots / running.length;
  const children = [...running];
  const evenly = (): Promise<void> => stage.held(...children.map((child): [FaultChild, number] => [child, share]));
  await evenly();
  const startedAtMs = systemClock.nowMs();
  for (const [index, child] of running.entries()) {
    child.signal('SIGTERM');
    await eventually(`${child.instanceId} has stopped`, 30_000, () => child.process.exitCode === 0);
    if (child.printed.at(-1) !== 'stopped') throw new Error(`${child.instanceId}: ${child.printed.join(' ')}`);
    children[index] = stage.child(child.instanceId);
    await evenly();
  }
  const gaps = gapsOf(stage.holdings()).filter(({ fromMs }) => fromMs >= startedAtMs);
  const gapsMs = gaps.map(({ fromMs, toMs }) => toMs - fromMs);
  const moves = stage.holdings().filter(({ fromMs }) => fromMs >= startedAtMs).length;
  return { children, moves, gapsMs, tookMs: systemClock.nowMs() - startedAtMs };
}
