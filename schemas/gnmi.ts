/**
 * The gNMI messages as typed values, for requests, answers and the simulator; the data path reads notifications with
 * `notification.ts` instead.
 *
 * G1. int64 and uint64 are bigint, paths are `Path`, enums are their names.
 * G2. A TypedValue stays the encoded bytes it came as (`value.ts` reads and makes them), so handing on a stored value
 *     re-encodes nothing.
 */
import {
  type Field,
  type MessageType,
  codecOf,
  flag,
  int64,
  list,
  messageType,
  named,
  namedList,
  oneofFlag,
  oneofInt64,
  optional,
  raw,
  text,
  uint32,
  uint64,
} from './message-codec.ts';
import { readBytes, writeTag } from './message-wire.ts';
import { type Path } from './path.ts';
import { pathType } from './path-codec.ts';
import { wireBytes } from './wire-reader.ts';

/** What `gNMI_version` answers. */
export const gnmiVersion = '0.10.0';

/** The index of a name is its number on the wire. */
export const gnmiEncodings = ['JSON', 'BYTES', 'PROTO', 'ASCII', 'JSON_IETF'] as const;
export type GnmiEncoding = (typeof gnmiEncodings)[number];
export const listModes = ['STREAM', 'ONCE', 'POLL'] as const;
export type ListMode = (typeof listModes)[number];
export const gnmiSubscriptionModes = ['TARGET_DEFINED', 'ON_CHANGE', 'SAMPLE'] as const;
export type GnmiSubscriptionMode = (typeof gnmiSubscriptionModes)[number];
export const getTypes = ['ALL', 'CONFIG', 'STATE', 'OPERATIONAL'] as const;
export type GetType = (typeof getTypes)[number];
export const setOperations = ['INVALID', 'DELETE', 'REPLACE', 'UPDATE', 'UNION_REPLACE'] as const;
export type SetOperation = (typeof setOperations)[number];

export interface ModelData {
  readonly name: string;
  readonly organization: string;
  readonly version: string;
}

/** Deprecated form of a value; `notification.ts` turns it into a TypedValue. */
export interface DeprecatedValue {
  readonly value: Buffer;
  readonly type: GnmiEncoding;
}

export interface GnmiUpdate {
  readonly path?: Path;
  readonly value?: DeprecatedValue;
  /** The encoded TypedValue (G2). */
  readonly val?: Buffer;
  readonly duplicates: number;
}

export interface GnmiNotification {
  /** Unix nanoseconds. */
  readonly timestamp: bigint;
  readonly prefix?: Path;
  readonly update: readonly GnmiUpdate[];
  readonly delete: readonly Path[];
  readonly atomic: boolean;
}

/** Deprecated: errors are gRPC status. `data` is the encoded google.protobuf.Any. */
export interface GnmiError {
  readonly code: number;
  readonly message: string;
  readonly data: Buffer;
}

export interface RegisteredExtension {
  readonly id: number;
  readonly msg: Buffer;
}

export interface HistoryRange {
  readonly start: bigint;
  readonly end: bigint;
}

export interface History {
  readonly snapshotTime?: bigint;
  readonly range?: HistoryRange;
}

/** The extensions we read; `masterArbitration`, `commit` and `configSubscription` stay their encoded bytes. */
export interface Extension {
  readonly registeredExt?: RegisteredExtension;
  readonly masterArbitration?: Buffer;
  readonly history?: History;
  readonly commit?: Buffer;
  readonly depth?: { readonly level: number };
  readonly configSubscription?: Buffer;
}

export interface SubscribeResponse {
  readonly update?: GnmiNotification;
  readonly syncResponse?: boolean;
  readonly error?: GnmiError;
  readonly extension: readonly Extension[];
}

export interface GnmiSubscription {
  readonly path?: Path;
  readonly mode: GnmiSubscriptionMode;
  /** Nanoseconds. */
  readonly sampleInterval: bigint;
  readonly suppressRedundant: boolean;
  /** Nanoseconds. */
  readonly heartbeatInterval: bigint;
}

export interface SubscriptionList {
  readonly prefix?: Path;
  readonly subscription: readonly GnmiSubscription[];
  readonly qos?: { readonly marking: number };
  readonly mode: ListMode;
  readonly allowAggregation: boolean;
  readonly useModels: readonly ModelData[];
  readonly encoding: GnmiEncoding;
  readonly updatesOnly: boolean;
}

export interface SubscribeRequest {
  readonly subscribe?: SubscriptionList;
  readonly poll?: object;
  readonly extension: readonly Extension[];
}

export interface CapabilityRequest {
  readonly extension: readonly Extension[];
}

export interface CapabilityResponse {
  readonly supportedModels: readonly ModelData[];
  readonly supportedEncodings: readonly GnmiEncoding[];
  readonly gnmiVersion: string;
  readonly extension: readonly Extension[];
}

export interface GetRequest {
  readonly prefix?: Path;
  readonly path: readonly Path[];
  readonly type: GetType;
  readonly encoding: GnmiEncoding;
  readonly useModels: readonly ModelData[];
  readonly extension: readonly Extension[];
}

export interface GetResponse {
  readonly notification: readonly GnmiNotification[];
  readonly error?: GnmiError;
  readonly extension: readonly Extension[];
}

export interface SetRequest {
  readonly prefix?: Path;
  readonly delete: readonly Path[];
  readonly replace: readonly GnmiUpdate[];
  readonly update: readonly GnmiUpdate[];
  readonly extension: readonly Extension[];
  readonly unionReplace: readonly GnmiUpdate[];
}

export interface UpdateResult {
  readonly timestamp: bigint;
  readonly path?: Path;
  readonly message?: GnmiError;
  readonly op: SetOperation;
}

export interface SetResponse {
  readonly prefix?: Path;
  readonly response: readonly UpdateResult[];
  readonly message?: GnmiError;
  readonly timestamp: bigint;
  readonly extension: readonly Extension[];
}

/** A nested message kept as its bytes, present even if empty. */
function encoded(number: number, oneof?: string): Field<Buffer> {
  return {
    number,
    ...(oneof === undefined ? {} : { oneof }),
    initial: () => undefined,
    write: (writer, value) => writeTag(writer, number, wireBytes).bytes(value),
    read: (reader, wire) => (wire === wireBytes ? readBytes(reader) : undefined),
  };
}

export const modelDataType: MessageType<ModelData> = messageType<ModelData>({
  name: text(1),
  organization: text(2),
  version: text(3),
});

const updateType = messageType<GnmiUpdate>({
  path: optional(1, pathType),
  value: optional(2, messageType<DeprecatedValue>({ value: raw(1), type: named(2, gnmiEncodings) })),
  val: encoded(3),
  duplicates: uint32(4),
});

const notificationType = messageType<GnmiNotification>({
  timestamp: int64(1),
  prefix: optional(2, pathType),
  update: list(4, updateType),
  delete: list(5, pathType),
  atomic: flag(6),
});

const errorType = messageType<GnmiError>({ code: uint32(1), message: text(2), data: raw(3) });

const historyType = messageType<History>({
  snapshotTime: oneofInt64(1, 'request'),
  range: optional(2, messageType<HistoryRange>({ start: int64(1), end: int64(2) }), 'request'),
});

const extensionType = messageType<Extension>({
  registeredExt: optional(1, messageType<RegisteredExtension>({ id: uint32(1), msg: raw(2) }), 'ext'),
  masterArbitration: encoded(2, 'ext'),
  history: optional(3, historyType, 'ext'),
  commit: encoded(4, 'ext'),
  depth: optional(5, messageType<{ readonly level: number }>({ level: uint32(1) }), 'ext'),
  configSubscription: encoded(6, 'ext'),
});

const subscriptionType = messageType<GnmiSubscription>({
  path: optional(1, pathType),
  mode: named(2, gnmiSubscriptionModes),
  sampleInterval: uint64(3),
  suppressRedundant: flag(4),
  heartbeatInterval: uint64(5),
});

const subscriptionListType = messageType<SubscriptionList>({
  prefix: optional(1, pathType),
  subscription: list(2, subscriptionType),
  qos: optional(4, messageType<{ readonly marking: number }>({ marking: uint32(1) })),
  mode: named(5, listModes),
  allowAggregation: flag(6),
  useModels: list(7, modelDataType),
  encoding: named(8, gnmiEncodings),
  updatesOnly: flag(9),
});

const updateResultType = messageType<UpdateResult>({
  timestamp: int64(1),
  path: optional(2, pathType),
  message: optional(3, errorType),
  op: named(4, setOperations),
});

export const gnmi = {
  Notification: codecOf(notificationType),
  Update: codecOf(updateType),
  Path: codecOf(pathType),
  Extension: codecOf(extensionType),
  SubscribeResponse: codecOf(
    messageType<SubscribeResponse>({
      update: optional(1, notificationType, 'response'),
      syncResponse: oneofFlag(3, 'response'),
      error: optional(4, errorType, 'response'),
      extension: list(5, extensionType),
    }),
  ),
  SubscribeRequest: codecOf(
    messageType<SubscribeRequest>({
      subscribe: optional(1, subscriptionListType, 'request'),
      poll: optional(3, messageType<object>({}), 'request'),
      extension: list(5, extensionType),
    }),
  ),
  CapabilityRequest: codecOf(messageType<CapabilityRequest>({ extension: list(1, extensionType) })),
  CapabilityResponse: codecOf(
    messageType<CapabilityResponse>({
      supportedModels: list(1, modelDataType),
      supportedEncodings: namedList(2, gnmiEncodings),
      gnmiVersion: text(3),
      extension: list(4, extensionType),
    }),
  ),
  GetRequest: codecOf(
    messageType<GetRequest>({
      prefix: optional(1, pathType),
      path: list(2, pathType),
      type: named(3, getTypes),
      encoding: named(5, gnmiEncodings),
      useModels: list(6, modelDataType),
      extension: list(7, extensionType),
    }),
  ),
  GetResponse: codecOf(
    messageType<GetResponse>({
      notification: list(1, notificationType),
      error: optional(2, errorType),
      extension: list(3, extensionType),
    }),
  ),
  SetRequest: codecOf(
    messageType<SetRequest>({
      prefix: optional(1, pathType),
      delete: list(2, pathType),
      replace: list(3, updateType),
      update: list(4, updateType),
      extension: list(5, extensionType),
      unionReplace: list(6, updateType),
    }),
  ),
  SetResponse: codecOf(
    messageType<SetResponse>({
      prefix: optional(1, pathType),
      response: list(2, updateResultType),
      message: optional(3, errorType),
      timestamp: int64(4),
      extension: list(5, extensionType),
    }),
  ),
};
