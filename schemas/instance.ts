/** Instance records: every process says once a second that it lives, where it answers and what it holds. */
import { type MessageType, flag, int64, list, messageType, ms, text, uint32, uint64 } from './message-codec.ts';
import { type RecordCodec, recordCodec } from './record-codec.ts';

export interface InstanceSlot {
  readonly slot: number;
  readonly epoch: bigint;
  readonly seq: bigint;
  readonly stalenessMs: number;
}

export interface Instance {
  readonly instance: string;
  /** `ingest`, `replicator`, `query-api`. */
  readonly role: string;
  /** Differs between two lives of one instance id. */
  readonly incarnation: string;
  /** `host:port`; empty: serves none. */
  readonly http: string;
  readonly gnmi: string;
  readonly zone: string;
  readonly version: string;
  readonly startedAtNs: bigint;
  readonly draining: boolean;
  /** Thousandths of a core. */
  readonly load: number;
  readonly slots: readonly InstanceSlot[];
}

const instanceSlotType: MessageType<InstanceSlot> = messageType<InstanceSlot>({
  slot: uint32(1),
  epoch: uint64(2),
  seq: uint64(3),
  stalenessMs: ms(4),
});

const instanceType: MessageType<Instance> = messageType<Instance>({
  instance: text(1),
  role: text(2),
  incarnation: text(3),
  http: text(4),
  gnmi: text(5),
  zone: text(6),
  version: text(7),
  startedAtNs: int64(8),
  draining: flag(9),
  load: uint32(10),
  slots: list(11, instanceSlotType),
});

export const instanceCodec: RecordCodec<Instance> = recordCodec('holdfast.v1.Instance', instanceType);
