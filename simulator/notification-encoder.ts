import { jsonBytes, type JsonForm, type ValueForm } from '../core/gnmi/value-form.ts';
import { encodeTypedValue, type TypedValue } from '../schemas/value.ts';
import { WireWriter } from '../schemas/wire-writer.ts';
import { type DeviceTree } from './device-tree.ts';
import { HotWriter, varintLength } from './hot-writer.ts';
import { CounterHalves } from './leaf-value.ts';

/**
 * Notifications of a device as `SubscribeResponse` bytes, in the form that one kind of subscriber asked for. On the path
 * of every tick: paths are copied from the model's encoded ones, counters are written from halves, and the buffers are
 * shared by the whole process (encoding is synchronous). Guarded by `bench/simulator.ts`; the slow, obvious way is
 * `gnmi.SubscribeResponse`, which the tests decode everything with.
 */
export interface NotificationForm {
  readonly values: ValueForm;
  /** Encoded origin and target of the prefix; empty: no prefix. */
  readonly prefix: Buffer;
  /** Encoded origin that each path carries instead of the prefix; empty: none (N4, N7). */
  readonly pathHead: Buffer;
}

const body = new HotWriter(65_536);
const message = new HotWriter(65_536);
const value = new HotWriter(65_536);
const halves = new CounterHalves();

export interface NotificationParts {
  readonly timestampNs: bigint;
  readonly updated: readonly number[];
  /** Encoded elems of the paths to delete. */
  readonly deleted: readonly Buffer[];
  /** Encoded elems of the prefix of an atomic container. */
  readonly container?: Buffer;
}

/** One `SubscribeResponse` with these parts, values as they are in `tree` now. */
export function encodeNotification(tree: DeviceTree, form: NotificationForm, parts: NotificationParts): Buffer {
  writeNotification(tree, form, parts);
  message.reset();
  message.varint(0x0a); // SubscribeResponse.update
  message.varint(body.length);
  message.raw(body.view());
  return message.take();
}

/** The same without the `SubscribeResponse` around it, for Get. */
export function encodeBareNotification(tree: DeviceTree, form: NotificationForm, parts: NotificationParts): Buffer {
  writeNotification(tree, form, parts);
  return body.take();
}

function writeNotification(tree: DeviceTree, form: NotificationForm, parts: NotificationParts): void {
  body.reset();
  body.varint(0x08);
  body.varintBig(parts.timestampNs);
  const prefixLength = form.prefix.length + (parts.container?.length ?? 0);
  if (prefixLength > 0) {
    body.varint(0x12);
    body.varint(prefixLength);
    body.raw(form.prefix);
    if (parts.container !== undefined) body.raw(parts.container);
  }
  // Under a container's prefix the origin stands there or nowhere: N9 wants no elems beside a second one.
  const head = parts.container === undefined ? form.pathHead : noHead;
  for (const index of parts.updated) writeUpdate(tree, form.values, head, index);
  for (const elems of parts.deleted) {
    body.varint(0x2a);
    body.varint(head.length + elems.length);
    body.raw(head);
    body.raw(elems);
  }
  if (parts.container !== undefined) {
    body.varint(0x30);
    body.varint(1);
  }
}

const noHead = Buffer.alloc(0);

function writeUpdate(tree: DeviceTree, form: ValueForm, head: Buffer, index: number): void {
  const shape = tree.shape(index);
  const pathLength = head.length + shape.elems.length;
  value.reset();
  writeValue(tree, form, index);
  body.varint(0x22);
  body.varint(2 + varintLength(pathLength) + pathLength + varintLength(value.length) + value.length);
  body.varint(0x0a);
  body.varint(pathLength);
  body.raw(head);
  body.raw(shape.elems);
  body.varint(0x1a);
  body.varint(value.length);
  body.raw(value.view());
}

function writeValue(tree: DeviceTree, form: ValueForm, index: number): void {
  if (form !== 'proto') {
    writeJson(tree.value(index), form);
    return;
  }
  const { counter, hash } = tree.shape(index);
  if (counter !== null && !tree.pinned(index)) {
    halves.set(tree.identity.hash, hash, tree.version(index), counter === 'big');
    value.varint(0x18); // TypedValue.uint_val
    value.varint64(halves.high, halves.low);
  } else if (index === 0) {
    value.varint(0x18);
    value.varint(tree.sequence);
  } else value.raw(encodeTypedValue(tree.value(index)));
}

function writeJson(typed: TypedValue, form: JsonForm): void {
  value.field(form === 'json' ? 0x52 : 0x5a, jsonBytes(typed, form));
}

/** `sync_response: true`. */
export const syncMessage = Buffer.from([0x18, 0x01]);

/** The deprecated `error` of a `SubscribeResponse`. */
export function encodeErrorResponse(code: number, text: string): Buffer {
  const writer = new WireWriter(64);
  const start = writer.open(4);
  writer.uint32Field(1, code);
  writer.stringField(2, text);
  writer.close(start);
  return writer.finish();
}

/**
 * A valid message of more than `bytes` bytes that changes nothing: an empty notification, and an experimental extension
 * (registered_ext 999) that carries the weight.
 */
export function encodeHugeMessage(timestampNs: bigint, bytes: number): Buffer {
  const writer = new WireWriter(bytes + 64);
  const notification = writer.open(1);
  writer.uint64Field(1, timestampNs);
  writer.close(notification);
  const extension = writer.open(5);
  const registered = writer.open(1);
  writer.uint32Field(1, 999);
  writer.bytesField(2, Buffer.alloc(bytes, 0xa5));
  writer.close(registered);
  writer.close(extension);
  return writer.finish();
}

/** Bytes that are no `SubscribeResponse`: a notification that claims to be longer than the message. */
export const malformedMessage = Buffer.from([0x0a, 0x7f, 0x08, 0x01, 0x22]);
