/**
 * What does a rebalance cost the group's leader, and how large a group fits into the coordinator's record of it? Reports
 * decoded, plan computed, plan and assignments encoded, without Kafka; one member is gone, one is new, one drains.
 * Targets: 256 slots × 50 members within 50 ms; a record of 1,048,576 bytes is the most that a broker takes by default.
 * `npx tsx bench/plan.ts`
 */
import { fleetRound, lead, sizesOf } from '../test/support/plan-fleet.ts';

const rounds = 200;
/** Different fleets, so that no round is the one before. */
const fleets = 5;
const recordBytesMax = 1_048_576;
const sizes = [
  [256, 50],
  [256, 75],
  [512, 50],
  [512, 100],
  [1_024, 50],
  [1_024, 100],
  [1_024, 200],
] as const;

const kib = (bytes: number): string => (bytes / 1_024).toFixed(1);
const columns = ['slots × members', 'p50 ms', 'p99 ms', 'report B', 'plan B', 'SyncGroup KiB', 'record KiB', 'fits'];

function measure(slots: number, members: number): string[] {
  const all = Array.from({ length: fleets }, (_, seed) => fleetRound(slots, members, seed + 1));
  const tookMs: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const before = process.cpuUsage();
    lead(all[round % fleets]!);
    const { user, system } = process.cpuUsage(before);
    tookMs.push((user + system) / 1_000);
  }
  tookMs.sort((a, b) => a - b);
  const percentile = (share: number): string => tookMs[Math.floor((rounds - 1) * share)]!.toFixed(1);
  const { reportBytesMax, planBytes, syncBytes, recordBytes } = sizesOf(all[0]!);
  return [
    ...[`${slots} × ${members}`, percentile(0.5), percentile(0.99), String(reportBytesMax), String(planBytes)],
    ...[kib(syncBytes), kib(recordBytes), recordBytes <= recordBytesMax ? 'yes' : 'no'],
  ];
}

console.log(columns.map((column) => column.padStart(15)).join(' '));
for (const [slots, members] of sizes) {
  console.log(
    measure(slots, members)
      .map((cell) => cell.padStart(15))
      .join(' '),
  );
}
