/**
 * One row of the topic `status`: what a slot's owner said of a device, and in which epoch. An `owner` marker ends every
 * session of a lower epoch, so what an earlier owner said of a session holds only until the slot's epoch grows. Pure.
 */
import { type LogRecord, recordMessage } from '../core/kafka/log-reader.ts';
import { decodeHeader, mayReplace, type Position, RecordMalformed } from '../schemas/position.ts';
import { type DeviceStatus, deviceStatusCodec } from '../schemas/status.ts';

export interface StatusRow {
  readonly status: DeviceStatus;
  /** Of the telemetry record that caused it. */
  readonly position: Position;
}

/** Throws `RecordMalformed`. */
export function decodeStatusRow(record: LogRecord): StatusRow {
  if (record.header === null) throw new RecordMalformed('a record of status has no position header');
  return { status: deviceStatusCodec.decode(recordMessage(record)), position: decodeHeader(record.header) };
}

/** True when `candidate` is to replace `current`. */
export function newerStatusRow(candidate: StatusRow, current: StatusRow): boolean {
  return mayReplace(candidate.position, current.position);
}
