import { systemClock } from '../../core/clock.ts';
import { silentLogger, type Logger } from '../../core/logger.ts';
import { eventually } from './eventually.ts';
import { type ClusterStage, type FaultCluster } from './fault-cluster.ts';
import { named, type HostEvent } from './lock-member.ts';

export interface SupersededFigures {
  /** From the cut until the worker behind it let go. */
  readonly droppedAfterMs: number;
  /** From the cut until the worker beyond it had the slot's producer id and began it. */
  readonly takenAfterMs: number;
  /** … and until its first records were acked: one of the partitions may have been led by the broker that is cut off. */
  readonly activeAfterMs: number;
  readonly takenBecause: string | undefined;
  /** Slots that the worker beyond the cut let go. */
  readonly droppedBeyond: number;
  /** The worker behind the cut said that the probe was not answered. */
  readonly probeWarned: boolean;
}

/**
 * The coordinator's broker is cut off from the others and not from one of two workers, whose heartbeats it goes on
 * answering; the other worker is on the other side. Resolves when the cut is healed and both hold a slot again.
 */
export async function supersedeCoordinator(
  cluster: FaultCluster,
  { stage, coordinator, group }: ClusterStage,
): Promise<SupersededFigures> {
  const [behind, beyond] = [await stage.links(), await stage.links()];
  const lines: string[] = [];
  const note = (fields: object): number => lines.push(JSON.stringify(fields));
  const logger: Logger = { ...silentLogger, warn: note, child: () => logger };
  const a = await stage.start('a', { routes: beyond.routes });
  const b = await stage.start('b', { routes: behind.routes, logger });
  await stage.held([a, 1], [b, 1]);
  const [moved] = b.member.held();
  const bystander = await cluster.joinBystander(group, coordinator);

  const cutAtMs = systemClock.nowMs();
  cluster.between.isolate(coordinator);
  for (const index of cluster.brokers.keys()) {
    const isOld = index + 1 === coordinator;
    const link = (isOld ? beyond : behind).links[index]; // each worker on its side
    if (link !== undefined) link.blackHole = true;
  }
  const dropped = await eventually('the worker drops', 2 * stage.timers.sessionTimeoutMs, async () => {
    await bystander(); // as if nothing had happened: a lease by heartbeats alone would go on
    return named(b.events, 'drop')[0];
  });
  await bystander();
  await stage.held([a, stage.slots], [b, 0]);
  const firstOf = (name: HostEvent['event']): HostEvent | undefined =>
    named(a.events, name).find(({ slot, atMs }) => slot === moved && atMs >= cutAtMs);
  const taken = firstOf('begin');
  const droppedBeyond = named(a.events, 'drop').length;
  cluster.between.heal();
  for (const link of [...behind.links, ...beyond.links]) link.blackHole = false;
  await stage.held([a, 1], [b, 1]);
  return {
    droppedAfterMs: dropped.atMs - cutAtMs,
    takenAfterMs: (taken?.atMs ?? Number.NaN) - cutAtMs,
    activeAfterMs: (firstOf('activate')?.atMs ?? Number.NaN) - cutAtMs,
    takenBecause: taken?.takeover?.reason,
    droppedBeyond,
    probeWarned: lines.some((line) => line.includes('"lane":"probe"')),
  };
}
