import { type Coordinator, type JoinOrder } from '../../core/kafka/coordinator.ts';
import { type GroupMember, type GroupMemberOptions } from '../../core/kafka/group-member.ts';
import { KafkaCoordinator } from '../../core/kafka/kafka-coordinator.ts';
import { LockWorker } from '../../core/kafka/lock-worker.ts';
import { KafkaLogEnds } from '../../core/kafka/log-ends.ts';
import { KafkaOwnershipLog } from '../../core/kafka/ownership-log.ts';
import { type SlotWriter } from '../../core/kafka/slot-host.ts';
import { topicOf } from '../../schemas/topics.ts';

/** A member of ingest's group as `GroupMember` makes it, that speaks only the report form of the version before. */
export function formerMember<W extends SlotWriter>(
  options: GroupMemberOptions<W>,
): LockWorker<W> & Pick<GroupMember<W>, 'commitOffset'> {
  const { kafka, groupId, topicPrefix, role, timers, instanceId: instance, incarnation, zone, clock, logger } = options;
  const coordinator = new KafkaCoordinator({
    kafka,
    groupId,
    slotTopic: topicOf(topicPrefix, 'devices'),
    probeTopic: topicOf(topicPrefix, 'ownership'),
    timers,
  });
  const worker = new LockWorker({
    ...options,
    coordinator: withFirstFormOnly(coordinator),
    log: new KafkaOwnershipLog({ ...options, role }),
    ends: new KafkaLogEnds({ kafka, topic: topicOf(topicPrefix, 'telemetry'), clock, logger }),
    self: { instance, incarnation, peer: '', zone },
    capacity: 100,
  });
  const commitOffset = worker.slots.commitOffset.bind(worker.slots);
  return Object.assign(worker, { commitOffset });
}

function withFirstFormOnly(coordinator: Coordinator): Coordinator {
  const join = coordinator.join.bind(coordinator);
  return Object.assign(coordinator, {
    join: (order: JoinOrder) =>
      join({ ...order, protocols: order.protocols.filter(({ name }) => name === 'holdfast-1') }),
  });
}
