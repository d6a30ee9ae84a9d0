import { type DecodedReport } from '../../core/kafka/held-report.ts';
import { computePlan, type MemberReport, noPlacements, type PlanDecision } from '../../core/kafka/plan.ts';
import { type Plan } from '../../schemas/ownership.ts';
import { type Slot } from '../../schemas/slot.ts';

/** A member that holds nothing and is warm for nothing, but for what `fields` says. */
export function memberReport(instance: string, fields: Partial<DecodedReport> = {}, run = ''): MemberReport {
  return {
    memberId: `${instance}-id${run}`,
    report: {
      format: 2,
      slots: 16,
      instance,
      incarnation: `${instance}${run}`,
      peer: '',
      zone: '',
      capacity: 100,
      draining: false,
      nonce: 0,
      adoptedVersion: 0n,
      held: new Map(),
      releasing: new Map(),
      warm: new Set(),
      unable: new Set(),
      weights: new Map(),
      ...fields,
    },
  };
}

export function holding(slots: readonly Slot[], epoch = 10n): Map<Slot, bigint> {
  return new Map(slots.map((slot) => [slot, epoch]));
}

/** By slot, the instance that owns it or stands by for it. */
export function instancesOf(plan: Plan, role: 'owner' | 'standby' | 'prev' = 'owner'): (string | undefined)[] {
  return plan.slots.map((slot) => plan.members[slot[role] - 1]?.instance);
}

export function countsOf(plan: Plan, role: 'owner' | 'standby' | 'prev' = 'owner'): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const instance of instancesOf(plan, role)) counts[instance ?? '-'] = (counts[instance ?? '-'] ?? 0) + 1;
  return counts;
}

/** A group whose members do at once what a plan says: owners hold and weigh their slots, standbys are warm for theirs. */
export class PlanGroup {
  members: MemberReport[];
  plan: Plan | null = null;
  readonly #slots: number;
  readonly #weightOf: (slot: Slot) => number | undefined;

  constructor(members: readonly MemberReport[], slots: number, weightOf: (slot: Slot) => number | undefined = () => 1) {
    this.members = [...members];
    this.#slots = slots;
    this.#weightOf = weightOf;
  }

  change(instance: string, fields: Partial<DecodedReport>): void {
    this.members = this.members.map((member) =>
      member.report.instance === instance ? { ...member, report: { ...member.report, ...fields } } : member,
    );
  }

  round(placements = noPlacements): PlanDecision {
    const version = (this.plan?.version ?? 0n) + 1n;
    const metadata = { slots: this.#slots, version, generation: Number(version), leader: '' };
    const decision = computePlan(this.members, metadata, this.plan, placements);
    const { plan } = decision;
    this.plan = plan;
    this.members = this.members.map((member) => this.#obey(member, plan));
    return decision;
  }

  /** Rounds until one changes nothing and leaves nothing over; throws when that takes more than `roundsMax`. */
  settle(roundsMax: number): { readonly plan: Plan; readonly rounds: number } {
    for (let rounds = 1; rounds <= roundsMax; rounds += 1) {
      const before = this.plan;
      const { plan, leftovers } = this.round();
      const isSame =
        before !== null && JSON.stringify(before.slots, numberText) === JSON.stringify(plan.slots, numberText);
      if (leftovers === 0 && isSame) return { plan, rounds };
    }
    throw new Error(`still moving after ${roundsMax} rounds`);
  }

  #obey(member: MemberReport, plan: Plan): MemberReport {
    const number = plan.members.findIndex(({ memberId }) => memberId === member.memberId) + 1;
    const all = [...plan.slots.keys()];
    const owned = all.filter((slot) => plan.slots[slot]?.owner === number);
    const held = new Map(owned.map((slot) => [slot, member.report.held.get(slot) ?? plan.version * 1_000n]));
    const weights = owned.flatMap((slot): [Slot, number][] => {
      const weight = this.#weightOf(slot);
      return weight === undefined ? [] : [[slot, weight]];
    });
    const warm = new Set(all.filter((slot) => plan.slots[slot]?.standby === number));
    const adoptedVersion = plan.version;
    const now = { held, releasing: new Map(), warm, weights: new Map(weights), adoptedVersion };
    return { ...member, report: { ...member.report, ...now } };
  }
}

function numberText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
