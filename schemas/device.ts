/** Device records: what an operator says about a device. Secrets are references (`file:`, `env:`), never their content. */
import {
  type MessageType,
  flag,
  int64,
  list,
  messageType,
  ms,
  optional,
  text,
  textMap,
  texts,
} from './message-codec.ts';
import { type RecordCodec, recordCodec } from './record-codec.ts';
import { type Subscription, subscriptionType } from './subscription.ts';

/** Secret references or empty; the server name is plain text. */
export interface DeviceTls {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  readonly serverName: string;
}

export interface DeviceCredentials {
  readonly username: string;
  /** A secret reference. */
  readonly password: string;
}

export interface Device {
  readonly name: string;
  /** `host:port`, tried in order. */
  readonly addresses: readonly string[];
  readonly plaintext: boolean;
  readonly tls?: DeviceTls;
  readonly credentials?: DeviceCredentials;
  readonly labels: ReadonlyMap<string, string>;
  /** Names of profiles. */
  readonly profiles: readonly string[];
  /** Subscriptions of this device alone, beside those of its profiles. */
  readonly subscriptions: readonly Subscription[];
  /** One of `encodingNames`; empty: the best of what Capabilities offers. */
  readonly encoding: string;
  readonly disabled: boolean;
  /** 0: the setting's default. */
  readonly receiveTimeoutMs: number;
  /** The device's clock is not to be trusted: order by our receive time (N13). */
  readonly orderByReceiveTime: boolean;
  /** A delete without elems deletes everything of its origin (D8). */
  readonly honourRootDelete: boolean;
  /** JSON values are taken apart into leaves. */
  readonly explodeJson: boolean;
  readonly changedBy: string;
  readonly changedAtNs: bigint;
}

const tlsType: MessageType<DeviceTls> = messageType<DeviceTls>({
  ca: text(1),
  cert: text(2),
  key: text(3),
  serverName: text(4),
});

const credentialsType: MessageType<DeviceCredentials> = messageType<DeviceCredentials>({
  username: text(1),
  password: text(2),
});

const deviceType: MessageType<Device> = messageType<Device>({
  name: text(1),
  addresses: texts(2),
  plaintext: flag(3),
  tls: optional(4, tlsType),
  credentials: optional(5, credentialsType),
  labels: textMap(6),
  profiles: texts(7),
  subscriptions: list(8, subscriptionType),
  encoding: text(9),
  disabled: flag(10),
  receiveTimeoutMs: ms(11),
  orderByReceiveTime: flag(12),
  honourRootDelete: flag(13),
  explodeJson: flag(14),
  changedBy: text(15),
  changedAtNs: int64(16),
});

export const deviceCodec: RecordCodec<Device> = recordCodec('holdfast.v1.Device', deviceType);
