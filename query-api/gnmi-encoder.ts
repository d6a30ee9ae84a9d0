/**
 * `SubscribeResponse` bytes: leaves as updates, in the form that one request asked for. Hot: paths are encoded once per
 * process, values are handed on as they were stored.
 *
 * N1. One notification holds leaves of one device and one time, either updates or deletes, so that the order in which
 *     they were given is the order in which they hold.
 * N2. An atomic group is one notification, whole, whatever its size (A10).
 * N3. Values of `json_val` and `json_ietf_val` are not in one notification (E8).
 */
import { type ResponseForm } from '../core/gnmi/response-form.ts';
import { jsonBytes } from '../core/gnmi/value-form.ts';
import { encodeElems, encodeOriginAndTarget } from '../core/gnmi/wire-path.ts';
import { defaultOrigin, parseOrigin, parsePath, type PathElem } from '../schemas/path.ts';
import { decodeTypedValue } from '../schemas/value.ts';
import { WireWriter } from '../schemas/wire-writer.ts';

export interface EncodedPath {
  readonly origin: string;
  readonly elems: readonly PathElem[];
  /** The elems as fields of gnmi.Path. */
  readonly bytes: Buffer;
}

/** Encoded paths by key `origin:/path`. Devices of a fleet share most of theirs. */
export class EncodedPaths {
  readonly #known = new Map<string, EncodedPath>();
  readonly #max: number;

  constructor(max = 65_536) {
    this.#max = max;
  }

  of(key: string): EncodedPath {
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const { origin = defaultOrigin, end = 0 } = parseOrigin(key) ?? {};
    const { elems } = parsePath(key.slice(end));
    const encoded = { origin, elems, bytes: encodeElems(elems) };
    if (this.#known.size >= this.#max) this.#known.clear();
    this.#known.set(key, encoded);
    return encoded;
  }
}

export interface LeafToSend {
  readonly key: string;
  /** The encoded TypedValue. */
  readonly value: Buffer;
  readonly timestampNs: bigint;
  /** How many values it stands for beside itself. */
  readonly duplicates: number;
}

export interface AtomicToSend {
  readonly origin: string;
  readonly root: readonly PathElem[];
  readonly timestampNs: bigint;
  readonly leaves: readonly LeafToSend[];
  /** Keys of leaves that the same message took away. */
  readonly removed: readonly string[];
}

/** A full message; at least one update fits whatever its size. */
const messageBytesMax = 16_384;

/** `sync_response: true`. */
export const syncResponse = Buffer.from([0x18, 0x01]);

export class GnmiEncoder {
  readonly #form: ResponseForm;
  readonly #paths: EncodedPaths;
  readonly #write: (message: Buffer) => void;
  readonly #prefixes = new Map<string, Buffer>();
  #open: { readonly device: string; readonly timestampNs: bigint; readonly kind: 'update' | 'delete' } | null = null;
  #writer = new WireWriter(1024);
  #start = 0;
  #bytes = 0;
  #jsonTag = 0;

  constructor(form: ResponseForm, paths: EncodedPaths, write: (message: Buffer) => void) {
    this.#form = form;
    this.#paths = paths;
    this.#write = write;
  }

  update(device: string, leaf: LeafToSend): void {
    const value = this.#valueOf(leaf.value);
    const tag = value[0] === 0x52 || value[0] === 0x5a ? value[0] : 0;
    if (tag !== 0 && this.#jsonTag !== 0 && tag !== this.#jsonTag) this.flush(); // N3
    this.#begin(device, leaf.timestampNs, 'update');
    if (tag !== 0) this.#jsonTag = tag;
    this.#update(this.#pathBytes(leaf.key), value, leaf.duplicates);
  }

  remove(device: string, key: string, timestampNs: bigint): void {
    this.#begin(device, timestampNs, 'delete');
    const path = this.#pathBytes(key);
    this.#writer.bytesField(5, path);
    this.#bytes += path.length;
  }

  /** Everything of a device is gone: the path `*`, without an origin. */
  removeDevice(device: string, timestampNs: bigint): void {
    this.flush();
    this.#begin(device, timestampNs, 'delete', this.#prefixOf(device, ''));
    this.#writer.bytesField(5, encodeElems([{ name: '*', keys: new Map() }]));
    this.flush();
  }

  atomic(device: string, { origin, root, timestampNs, leaves, removed }: AtomicToSend): void {
    this.flush(); // N2
    // Under a prefix with elements the origin stands in the prefix (N9).
    const said = this.#form.prefixOrigin !== '' || this.#saysInPath(origin) ? origin : '';
    this.#begin(device, timestampNs, 'update', [this.#prefixOf(device, said), encodeElems(root)]);
    for (const { key, value, duplicates } of leaves) {
      this.#update(encodeElems(this.#paths.of(key).elems.slice(root.length)), this.#valueOf(value), duplicates);
    }
    for (const key of removed) {
      this.#writer.bytesField(5, encodeElems(this.#paths.of(key).elems.slice(root.length)));
    }
    this.#writer.uint32Field(6, 1);
    this.flush();
  }

  sync(): void {
    this.flush();
    this.#write(syncResponse);
  }

  /** Writes what is open. */
  flush(): void {
    if (this.#open === null) return;
    this.#writer.close(this.#start);
    this.#write(this.#writer.finish());
    this.#open = null;
    this.#jsonTag = 0;
  }

  #begin(
    device: string,
    timestampNs: bigint,
    kind: 'update' | 'delete',
    prefix: Buffer | readonly Buffer[] = this.#prefixOf(device, this.#form.prefixOrigin),
  ): void {
    const open = this.#open;
    if (
      open?.device === device &&
      open.timestampNs === timestampNs &&
      open.kind === kind &&
      this.#bytes < messageBytesMax
    )
      return; // N1
    this.flush();
    this.#open = { device, timestampNs, kind };
    this.#writer = new WireWriter(1024);
    this.#start = this.#writer.open(1); // SubscribeResponse.update
    this.#writer.uint64Field(1, timestampNs);
    const bytes = Buffer.isBuffer(prefix) ? prefix : Buffer.concat(prefix);
    if (bytes.length > 0) this.#writer.bytesField(2, bytes);
    this.#bytes = 0;
  }

  #update(path: Buffer, value: Buffer, duplicates: number): void {
    const update = this.#writer.open(4);
    this.#writer.bytesField(1, path);
    this.#writer.bytesField(3, value);
    if (duplicates > 0) this.#writer.uint32Field(4, duplicates);
    this.#writer.close(update);
    this.#bytes += path.length + value.length;
  }

  #valueOf(value: Buffer): Buffer {
    const { values } = this.#form;
    return values === 'proto' ? value : jsonValue(value, values);
  }

  /** The path of a leaf, with its origin where the prefix does not say it. */
  #pathBytes(key: string): Buffer {
    const { origin, bytes } = this.#paths.of(key);
    return this.#saysInPath(origin) ? Buffer.concat([encodeOriginAndTarget(origin, ''), bytes]) : bytes;
  }

  /** N4, N7: an origin stands where the request has it; one that the request left to us is said unless it is the default. */
  #saysInPath(origin: string): boolean {
    const { prefixOrigin, pathOrigins } = this.#form;
    return prefixOrigin === '' && (origin !== defaultOrigin || pathOrigins.has(origin));
  }

  #prefixOf(device: string, origin: string): Buffer {
    const { target } = this.#form;
    const key = `${device} ${origin}`;
    const known = this.#prefixes.get(key);
    if (known !== undefined) return known;
    const prefix = encodeOriginAndTarget(origin, target === '' ? '' : device);
    if (this.#prefixes.size >= 1000) this.#prefixes.clear();
    this.#prefixes.set(key, prefix);
    return prefix;
  }
}

/** An encoded TypedValue as one of JSON (E7). */
export function jsonValue(value: Buffer, form: 'json' | 'json_ietf'): Buffer {
  const typed = decodeTypedValue(value);
  const writer = new WireWriter(64);
  writer.bytesField(form === 'json' ? 10 : 11, typed === null ? Buffer.from('null') : jsonBytes(typed, form));
  return writer.finish();
}
