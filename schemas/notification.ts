/**
 * What a device sends, decoded for the replicator: a reader written by hand, without reflection.
 *
 * N-a. The bytes stay the truth: values are kept encoded, unknown fields and extensions are skipped (N17, L4).
 * N-b. An update that cannot be used never costs the others: those without a path, or with an empty key name, are counted
 *      in `skippedUpdates` (V18); a value that is not there is null.
 * N-c. Wildcards, duplicates within the message (N12) and the order of deletes (D4) are the reader's business.
 */
import { type Path, type PathElem, normaliseOrigin } from './path.ts';
import { readPath } from './path-codec.ts';
import { encodeTypedValue } from './value.ts';
import { WireReader, wireBytes, wireVarint } from './wire-reader.ts';

export { MessageMalformed } from './wire-reader.ts';

export interface Update {
  readonly path: Path;
  /**
   * The encoded TypedValue, a view into the message; null: none was sent (V18). The deprecated `Value` is converted and
   * used only where `val` is absent (V15).
   */
  readonly value: Buffer | null;
  readonly duplicates: number;
}

export interface Notification {
  /** As sent: may be 0 or negative (N13). */
  readonly timestampNs: bigint;
  readonly prefix: Path | null;
  readonly updates: readonly Update[];
  readonly deletes: readonly Path[];
  readonly atomic: boolean;
  /** Updates and deletes that could not be used (N-b). */
  readonly skippedUpdates: number;
  /** Strings that were not UTF-8 (L5). */
  readonly invalidStrings: number;
}

export type DeviceMessage =
  | { readonly kind: 'update'; readonly notification: Notification }
  | { readonly kind: 'sync'; readonly synced: boolean }
  | { readonly kind: 'error'; readonly code: number; readonly message: string }
  /** Nothing we know in it: legal, counted (T20). */
  | { readonly kind: 'empty' };

/** Reads a gnmi.SubscribeResponse; throws MessageMalformed. */
export function decodeDeviceMessage(bytes: Buffer): DeviceMessage {
  const reader = new WireReader(bytes);
  let message: DeviceMessage = { kind: 'empty' };
  let draft: NotificationDraft | undefined;
  while (reader.next()) {
    const { field, wire } = reader;
    if (field === 1 && wire === wireBytes) {
      if (message.kind !== 'update') draft = undefined; // another member of the oneof came between
      draft = readNotification(reader, draft);
      message = { kind: 'update', notification: draft };
    } else if (field === 3 && wire === wireVarint) {
      message = { kind: 'sync', synced: reader.bool() };
    } else if (field === 4 && wire === wireBytes) {
      message = readError(reader, message);
    } else reader.skip();
  }
  if (draft !== undefined) draft.invalidStrings = reader.invalidStrings;
  return message;
}

interface NotificationDraft {
  timestampNs: bigint;
  prefix: Path | null;
  updates: Update[];
  deletes: Path[];
  atomic: boolean;
  skippedUpdates: number;
  invalidStrings: number;
}

function readNotification(reader: WireReader, earlier: NotificationDraft | undefined): NotificationDraft {
  const draft = earlier ?? {
    timestampNs: 0n,
    prefix: null,
    updates: [],
    deletes: [],
    atomic: false,
    skippedUpdates: 0,
    invalidStrings: 0,
  };
  const outerEnd = reader.enter();
  while (reader.next()) {
    const { field, wire } = reader;
    if (wire === wireBytes && field === 4) {
      const update = readUpdate(reader);
      if (update === null) draft.skippedUpdates++;
      else draft.updates.push(update);
    } else if (wire === wireBytes && field === 5) {
      const path = readNestedPath(reader);
      if (hasEmptyKeyName(path)) draft.skippedUpdates++;
      else draft.deletes.push(path);
    } else if (wire === wireBytes && field === 2) draft.prefix = readNestedPath(reader, draft.prefix ?? undefined);
    else if (wire === wireVarint && field === 1) draft.timestampNs = reader.int64();
    else if (wire === wireVarint && field === 6) draft.atomic = reader.bool();
    else reader.skip();
  }
  reader.leave(outerEnd);
  return draft;
}

/** Null if it has no usable path (N-b). */
function readUpdate(reader: WireReader): Update | null {
  const outerEnd = reader.enter();
  let path: Path | undefined;
  let value: Buffer | null = null;
  let deprecated: Buffer | null = null;
  let duplicates = 0;
  while (reader.next()) {
    const { field, wire } = reader;
    if (wire === wireBytes && field === 1) path = readNestedPath(reader, path);
    else if (wire === wireBytes && field === 3) value = reader.buffer();
    else if (wire === wireVarint && field === 4) duplicates = reader.uint32();
    else if (wire === wireBytes && field === 2) deprecated = readDeprecatedValue(reader);
    else reader.skip();
  }
  reader.leave(outerEnd);
  if (path === undefined || hasEmptyKeyName(path)) return null;
  if (value?.length === 0) value = null; // a TypedValue with nothing set says no more than none
  return { path, value: value ?? deprecated, duplicates };
}

function readNestedPath(reader: WireReader, earlier?: Path): Path {
  const outerEnd = reader.enter();
  const path = readPath(reader, earlier);
  reader.leave(outerEnd);
  return path;
}

function hasEmptyKeyName(path: Path): boolean {
  for (const { keys } of path.elems) if (keys.has('')) return true;
  return false;
}

/** `Value` {bytes, type} as a TypedValue of the same encoding (V15). PROTO said no type there, so it stays bytes. */
function readDeprecatedValue(reader: WireReader): Buffer {
  const outerEnd = reader.enter();
  let value: Buffer = Buffer.alloc(0);
  let type = 0;
  while (reader.next()) {
    if (reader.wire === wireBytes && reader.field === 1) value = reader.buffer();
    else if (reader.wire === wireVarint && reader.field === 2) type = reader.uint32();
    else reader.skip();
  }
  reader.leave(outerEnd);
  switch (type) {
    case 0:
      return encodeTypedValue({ kind: 'json', value });
    case 2:
      return encodeTypedValue({ kind: 'proto_bytes', value });
    case 3:
      return encodeTypedValue({ kind: 'ascii', value: value.toString('utf8') });
    case 4:
      return encodeTypedValue({ kind: 'json_ietf', value });
    default:
      return encodeTypedValue({ kind: 'bytes', value });
  }
}

function readError(reader: WireReader, earlier: DeviceMessage): DeviceMessage {
  let { code, message } = earlier.kind === 'error' ? earlier : { code: 0, message: '' };
  const outerEnd = reader.enter();
  while (reader.next()) {
    if (reader.wire === wireVarint && reader.field === 1) code = reader.uint32();
    else if (reader.wire === wireBytes && reader.field === 2) message = reader.string();
    else reader.skip();
  }
  reader.leave(outerEnd);
  return { kind: 'error', code, message };
}

/**
 * The whole path of an update or delete: the prefix's elements and its own (N1), the origin from wherever it was said
 * (N7), normalised (N6). The path's own origin wins (N9 forbids two).
 */
export function joinPath(
  prefix: Path | null,
  path: Path,
): { readonly origin: string; readonly elems: readonly PathElem[] } {
  if (prefix === null) return { origin: normaliseOrigin(path.origin), elems: path.elems };
  return {
    origin: normaliseOrigin(path.origin === '' ? prefix.origin : path.origin),
    elems: prefix.elems.length === 0 ? path.elems : [...prefix.elems, ...path.elems],
  };
}
