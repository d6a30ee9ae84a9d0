import { encodeAssignment, encodeSubscription } from '../../core/kafka/consumer-protocol.ts';
import { type Joined } from '../../core/kafka/coordinator.ts';
import { encodeHeldReport } from '../../core/kafka/held-report.ts';
import { type LeaderKnowledge, leaderPlan, type LeaderPlan } from '../../core/kafka/leader-plan.ts';
import { noPlacements } from '../../core/kafka/plan.ts';
import { seededRandom } from '../../core/random.ts';
import { memberReport, PlanGroup } from './plan-group.ts';

/**
 * One round of a large group as its leader meets it, in bytes: members long at work, of which one is gone, one is new and
 * one drains. Names are as long as real ones.
 */
export interface FleetRound {
  readonly joined: Joined;
  readonly knowledge: LeaderKnowledge;
}

const topic = 'holdfast.devices';
const nowMs = 1_795_246_383_702;
const uuid = (index: number): string => `5f0c1d2e-93ab-4c1d-8e2f-${String(index).padStart(12, '0')}`;

export function fleetRound(slots: number, members: number, seed: number): FleetRound {
  const random = seededRandom(seed);
  const member = (index: number): ReturnType<typeof memberReport> => {
    const instance = `ingest-${String(index).padStart(3, '0')}.fra1.example.net`;
    const fields = { slots, incarnation: uuid(index), peer: `10.20.${index}.117:43210`, zone: `fra1-${index % 3}` };
    return { ...memberReport(instance, fields), memberId: `${instance}-${uuid(index + 500)}` };
  };
  const weights = Array.from({ length: slots }, () => Math.ceil(900 + random.next() * 200));
  const first = Array.from({ length: members }, (_, index) => member(index));
  const group = new PlanGroup(first, slots, (slot) => weights[slot]);
  group.settle(8);
  // Claimed one after the other, over the last weeks.
  group.members = group.members.map(({ memberId, report }) => ({
    memberId,
    report: {
      ...report,
      held: new Map([...report.held.keys()].map((slot) => [slot, BigInt(nowMs - Math.floor(random.next() * 2e9))])),
      adoptedVersion: BigInt(nowMs - 60_000),
    },
  }));
  const [gone, draining] = [Math.floor(random.next() * members), Math.floor(random.next() * members)];
  group.change(first[draining]!.report.instance, { draining: true });
  group.members = [...group.members.filter((_, index) => index !== gone), member(members)];
  const reports = group.members.map(({ memberId, report }) => ({ memberId, report: encodeHeldReport(report, slots) }));
  const leader = reports[0]!.memberId;
  return {
    joined: { memberId: leader, generation: 41, leader: true, members: reports },
    knowledge: { slots, adopted: group.plan, written: group.plan, placements: noPlacements, nowMs },
  };
}

/** The leader's work between the answers of Join and Sync, down to everybody's assignment. */
export function lead({ joined, knowledge }: FleetRound): LeaderPlan & { readonly assignments: Map<string, Buffer> } {
  const made = leaderPlan(joined, knowledge);
  const { bytes, owned } = made.order;
  const assignments = new Map([...owned].map(([id, slots]) => [id, encodeAssignment(topic, slots, bytes)]));
  return { ...made, assignments };
}

export interface RoundSizes {
  readonly reportBytesMax: number;
  readonly planBytes: number;
  /** The leader's SyncGroup: everybody's assignment. */
  readonly syncBytes: number;
  /** What the coordinator writes for a generation: everybody's subscription and assignment. */
  readonly recordBytes: number;
}

export function sizesOf(round: FleetRound): RoundSizes {
  const { order, assignments } = lead(round);
  const { members } = round.joined;
  let [syncBytes, recordBytes] = [100, 100]; // header, group, generation, protocol, leader
  for (const { memberId, report } of members) {
    const assignment = assignments.get(memberId)!.length;
    syncBytes += 6 + memberId.length + assignment;
    // Beside the two: member id, no static id, client id and host, two timeouts, lengths.
    recordBytes += memberId.length + 30 + 16 + 24 + encodeSubscription(topic, report).length + assignment;
  }
  const reportBytesMax = Math.max(...members.map(({ report }) => report.length));
  return { reportBytesMax, planBytes: order.bytes.length, syncBytes, recordBytes };
}
