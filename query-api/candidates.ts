/**
 * The other query-api instances as candidates for a request: their records in `instances`, when we saw them, and what we
 * met when we asked them.
 */
import { type Instance, type InstanceSlot } from '../schemas/instance.ts';
import { type Slot } from '../schemas/slot.ts';
import { isDraining } from './group-map.ts';
import { type OwnershipRow } from './ownership-row.ts';
import { concludeFrom } from './position-report.ts';
import { type Candidate } from './candidate.ts';
import { type Sightings } from './sightings.ts';
import { type Rows } from './tables.ts';

export interface CandidateTables {
  readonly instances: Rows<Instance>;
  readonly ownership: Rows<OwnershipRow>;
  readonly sightings: Sightings;
}

/** Our own experience with the instances that we forward to. */
export interface PeerExperience {
  isSuspect(instance: string): boolean;
  inFlight(instance: string): number;
}

/** Longer gone than this an instance was taken away: it says nothing about the health of its zone any more. */
const countsForZoneMs = 60_000;

export class Candidates {
  readonly #tables: CandidateTables;
  readonly #self: string;
  readonly #experience: PeerExperience;
  /** Slots by number, once per record. */
  readonly #bySlot = new WeakMap<Instance, ReadonlyMap<Slot, InstanceSlot>>();

  constructor(options: {
    readonly tables: CandidateTables;
    readonly self: string;
    readonly experience: PeerExperience;
  }) {
    this.#tables = options.tables;
    this.#self = options.self;
    this.#experience = options.experience;
  }

  all(): Candidate[] {
    const candidates: Candidate[] = [];
    for (const [id, instance] of this.#tables.instances.entries()) {
      if (instance.role !== 'query-api' || id === this.#self || instance.http === '') continue;
      if ((this.#tables.sightings.seenMs(id) ?? Number.POSITIVE_INFINITY) > countsForZoneMs) continue;
      candidates.push(this.#candidate(id, instance));
    }
    return candidates;
  }

  #candidate(id: string, instance: Instance): Candidate {
    const { sightings } = this.#tables;
    const recordAgeMs = sightings.recordAgeMs(id);
    const slots = this.#slotsOf(instance);
    return {
      instance: id,
      http: instance.http,
      zone: instance.zone,
      cost: 0, // nothing measures ways yet
      load: instance.load,
      inFlight: this.#experience.inFlight(id),
      health: this.#health(id, instance),
      report: (slot) => {
        const report = slots.get(slot);
        return report === undefined ? undefined : concludeFrom(report, recordAgeMs);
      },
    };
  }

  #health(id: string, instance: Instance): Candidate['health'] {
    if (!this.#tables.sightings.isProven(id)) return 'gone';
    // One that drains holds its slots until others do: better than nobody.
    return this.#experience.isSuspect(id) || isDraining(this.#tables, instance) ? 'suspect' : 'ok';
  }

  #slotsOf(instance: Instance): ReadonlyMap<Slot, InstanceSlot> {
    let slots = this.#bySlot.get(instance);
    if (slots === undefined) {
      slots = new Map(instance.slots.map((report) => [report.slot, report]));
      this.#bySlot.set(instance, slots);
    }
    return slots;
  }
}
