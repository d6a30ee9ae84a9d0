/**
 * What operators wish of ownership: that an instance gives up its slots (`drain/INSTANCE`), that a slot moves to an
 * instance (`place/N`). Written here, read by the leaders of the groups, who make them true.
 *
 * WI1. A wish is answered when it is durable *and* visible in this instance's tables (change-writer.ts).
 * WI2. A wish that changes nothing writes nothing, so it starts no new plan.
 * WI3. Wishes of one instance are made one after another, so what was checked holds when the record is written.
 * WI4. Only an instance that lives can be drained or given a slot; a drain can be withdrawn of one that is gone.
 */
import { type Clock } from '../core/clock.ts';
import { HoldfastError } from '../core/errors.ts';
import { type Logger } from '../core/logger.ts';
import { type Instance } from '../schemas/instance.ts';
import { type Placement, placementCodec } from '../schemas/ownership.ts';
import { type Slot } from '../schemas/slot.ts';
import { drainKey, type GroupRole, placeKey } from '../schemas/topics.ts';
import { type ChangeWriter, type WritableRows } from './change-writer.ts';
import {
  drainOf,
  groupOfRole,
  isDraining,
  memberName,
  ownerName,
  placement as placementOf,
  planOf,
  slotRecord,
} from './group-map.ts';
import { type QueryApiMetrics } from './metrics.ts';
import { type OwnershipRow } from './ownership-row.ts';
import { invalid } from './parameters.ts';
import { bodyInvalid } from './problem.ts';
import { SerialQueue } from './serial-queue.ts';
import { type Sightings } from './sightings.ts';
import { type Rows } from './tables.ts';

export interface WishesOptions {
  readonly tables: {
    readonly ownership: WritableRows<OwnershipRow>;
    readonly instances: Rows<Instance>;
    readonly sightings: Sightings;
  };
  readonly writer: ChangeWriter;
  /** Full name of `ownership`. */
  readonly topic: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Pick<QueryApiMetrics, 'changes'>;
}

export interface Drained {
  readonly group: GroupRole;
  readonly wish: Placement;
  readonly warnings: readonly string[];
}

export interface Moved {
  readonly group: GroupRole;
  readonly owner: string | null;
  /** `null`: the slot is there already. */
  readonly wish: Placement | null;
  readonly warnings: readonly string[];
}

interface Worker {
  readonly instance: Instance;
  readonly group: GroupRole;
}

/** More names would hide the one that was meant. */
const namesMax = 20;

export class Wishes {
  readonly #options: WishesOptions;
  readonly #queue = new SerialQueue(); // WI3

  constructor(options: WishesOptions) {
    this.#options = options;
  }

  /** Throws `INSTANCE_UNKNOWN`, `PARAMETER_INVALID` for one that holds no slots, `KAFKA_UNAVAILABLE`. */
  drain(name: string, changedBy: string): Promise<Drained> {
    return this.#queue.run(async () => {
      const { tables } = this.#options;
      const { instance, group } = this.#requireWorker(name);
      const warnings = this.#hasOther(name, group)
        ? []
        : [`there is no other ${group} that is not draining: nobody can take the slots of ${name}`];
      const { incarnation } = instance;
      const present = drainOf(tables, name);
      if (present?.incarnation === incarnation) return { group, wish: present, warnings }; // WI2
      const wish = await this.#put(drainKey(name), { instance: name, drain: true, incarnation }, changedBy);
      return { group, wish, warnings };
    });
  }

  /** Withdraws a drain; false: there was none. Throws as `drain` does for an instance without a drain. */
  resume(name: string, changedBy: string): Promise<boolean> {
    return this.#queue.run(async () => {
      if (drainOf(this.#options.tables, name) === null) {
        this.#requireWorker(name); // WI4
        return false; // WI2
      }
      await this.#write(drainKey(name), null);
      this.#options.metrics.changes.inc({ kind: 'wish deleted' });
      this.#options.logger.info({ instance: name, changedBy }, 'drain withdrawn');
      return true;
    });
  }

  /** As `drain`; throws `BODY_INVALID` for an instance that is draining. */
  move(slot: Slot, to: string, changedBy: string): Promise<Moved> {
    return this.#queue.run(async () => {
      const { tables } = this.#options;
      const { instance, group } = this.#requireWorker(to);
      if (isDraining(tables, instance)) {
        throw bodyInvalid([
          `to: ${to} is draining; name another, or resume it with POST /api/v1/instances/{id}:resume`,
        ]);
      }
      const record = slotRecord(tables, group, slot);
      const owner = ownerName(record);
      const present = placementOf(tables, slot);
      if (present?.instance === to) return { group, owner, wish: present, warnings: [] }; // WI2
      const plan = planOf(tables, group);
      const stays = plan === null || memberName(plan, plan.slots[slot]?.owner ?? 0) === to;
      const isThere = owner === to && record?.holder?.incarnation === instance.incarnation && stays;
      if (isThere && present === null) return { group, owner, wish: null, warnings: [] }; // WI2
      const warnings = present === null ? [] : [`the wish to move slot ${slot} to ${present.instance} is replaced`];
      const wish = await this.#put(placeKey(slot), { instance: to, drain: false, incarnation: '' }, changedBy);
      return { group, owner, wish, warnings };
    });
  }

  async #put(
    key: string,
    wished: Pick<Placement, 'instance' | 'drain' | 'incarnation'>,
    changedBy: string,
  ): Promise<Placement> {
    const { writer, topic, clock, logger, metrics } = this.#options;
    const wish: Placement = { ...wished, changedBy, changedAtNs: clock.nowNs() };
    await this.#write(key, writer.value(topic, placementCodec, wish));
    metrics.changes.inc({ kind: 'wish created' });
    logger.info({ wish: key, instance: wish.instance, changedBy }, 'wish written');
    return wish;
  }

  #write(key: string, value: Buffer | null): Promise<void> {
    const { writer, topic, tables } = this.#options;
    return writer.write(topic, tables.ownership, new Map([[0, [{ key: Buffer.from(key), value }]]])); // WI1
  }

  #requireWorker(name: string): Worker {
    const { instances, sightings } = this.#options.tables;
    const instance = instances.get(name);
    if (instance === undefined || !sightings.isAlive(name)) throw this.#unknown(name, instance !== undefined);
    const group = groupOfRole(instance.role);
    if (group === null) throw invalid('instance', `${name} is a ${instance.role}, which holds no slots`);
    return { instance, group };
  }

  #unknown(name: string, wasSeen: boolean): HoldfastError {
    const { sightings } = this.#options.tables;
    if (!sightings.kafkaAnswers) {
      const detail = 'no instance was heard of for some seconds: Kafka does not answer this query-api; try again';
      return new HoldfastError('KAFKA_UNAVAILABLE', detail, { retryable: true });
    }
    const seenMs = sightings.seenMs(name);
    const known = this.#livingWorkers()
      .map(({ instance }) => instance.instance)
      .sort();
    const shown = known.length === 0 ? 'none' : known.slice(0, namesMax).join(', ');
    const what =
      wasSeen && seenMs !== undefined
        ? `instance ${name} is gone: it was last seen ${Math.round(seenMs / 1000)} s ago`
        : `there is no instance ${name}`;
    const detail = `${what}; those that hold slots: ${shown}${known.length > namesMax ? ', …' : ''}`;
    return new HoldfastError('INSTANCE_UNKNOWN', detail, {
      facts: { instance: name, lastSeenMs: seenMs ?? null, known: known.slice(0, namesMax) },
    });
  }

  #hasOther(name: string, group: GroupRole): boolean {
    return this.#livingWorkers().some(
      (worker) =>
        worker.group === group &&
        worker.instance.instance !== name &&
        !isDraining(this.#options.tables, worker.instance),
    );
  }

  #livingWorkers(): Worker[] {
    const { instances, sightings } = this.#options.tables;
    const workers: Worker[] = [];
    for (const [id, instance] of instances.entries()) {
      const group = groupOfRole(instance.role);
      if (group !== null && sightings.isAlive(id)) workers.push({ instance, group });
    }
    return workers;
  }
}
