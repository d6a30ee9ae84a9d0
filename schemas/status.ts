/** Device status records: how the session with a device stands, written by the owner of its slot. */
import { type MessageType, int64, list, messageType, named, text, texts, uint64 } from './message-codec.ts';
import { type ModelData, modelDataType } from './gnmi.ts';
import { type RecordCodec, recordCodec } from './record-codec.ts';

/** The index is the number on the wire; a number of a later version reads as `unknown`. */
export const deviceStates = ['unknown', 'connecting', 'connected', 'synced', 'waiting', 'stopped'] as const;
export type DeviceState = (typeof deviceStates)[number];

export interface DeviceStatus {
  readonly device: string;
  readonly state: DeviceState;
  readonly sinceNs: bigint;
  readonly instance: string;
  readonly address: string;
  /** An error code of a device session; empty: none. */
  readonly code: string;
  readonly detail: string;
  /** When the next attempt is due; 0: none is. */
  readonly retryAtNs: bigint;
  readonly gnmiVersion: string;
  /** What Capabilities offered, as names of `encodingNames` where there is one. */
  readonly encodings: readonly string[];
  readonly models: readonly ModelData[];
  /** Gap markers written for the device since it was added. */
  readonly gaps: bigint;
  /** Of the newest gap: our clock when the first and the last of what is missing came, or may have come; 0: not known. */
  readonly gapFromNs: bigint;
  readonly gapToNs: bigint;
}

const deviceStatusType: MessageType<DeviceStatus> = messageType<DeviceStatus>({
  device: text(1),
  state: named(2, deviceStates),
  sinceNs: int64(3),
  instance: text(4),
  address: text(5),
  code: text(6),
  detail: text(7),
  retryAtNs: int64(8),
  gnmiVersion: text(9),
  encodings: texts(10),
  models: list(11, modelDataType),
  gaps: uint64(12),
  gapFromNs: int64(13),
  gapToNs: int64(14),
});

export const deviceStatusCodec: RecordCodec<DeviceStatus> = recordCodec('holdfast.v1.DeviceStatus', deviceStatusType);
