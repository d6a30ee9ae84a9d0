/** One record of the topic `state`, from Kafka bytes to what the store takes. Pure; throws on what is malformed. */
import { type LogRecord } from '../core/kafka/log-reader.ts';
import { decodeFrame } from '../schemas/frame.ts';
import { type LeafContent, leafContentCodec } from '../schemas/leaf.ts';
import { type Marker, markerCodec } from '../schemas/marker.ts';
import { decodeHeader, RecordMalformed, type RecordHeader } from '../schemas/position.ts';
import { slotMarkerKey } from '../schemas/topics.ts';

export type StateRecord =
  | { readonly kind: 'marker'; readonly header: RecordHeader; readonly marker: Marker }
  /** `leaf` null: the leaf is gone. `key` is that of the store, `origin:/path`. */
  | {
      readonly kind: 'leaf';
      readonly header: RecordHeader;
      readonly device: string;
      readonly key: string;
      readonly leaf: LeafContent | null;
    }
  /** A `|slot` that was removed by hand: says nothing. */
  | { readonly kind: 'nothing' };

/** Throws `RecordMalformed`. */
export function decodeStateRecord(record: LogRecord): StateRecord {
  const key = record.key?.toString('utf8') ?? '';
  if (record.header === null)
    throw new RecordMalformed(`record ${JSON.stringify(key)} of state has no position header`);
  const header = decodeHeader(record.header);
  if (key === slotMarkerKey) {
    if (record.value === null) return { kind: 'nothing' };
    return { kind: 'marker', header, marker: markerCodec.decode(decodeFrame(record.value).message) };
  }
  const bar = key.indexOf('|');
  if (bar < 1) throw new RecordMalformed(`key ${JSON.stringify(key)} of state is not device|origin:/path`);
  const leaf = record.value === null ? null : leafContentCodec.decode(decodeFrame(record.value).message);
  return { kind: 'leaf', header, device: key.slice(0, bar), key: key.slice(bar + 1), leaf };
}
