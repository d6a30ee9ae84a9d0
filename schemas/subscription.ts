/** One path with a mode and an interval, as profiles and device records carry it. */
import { type MessageType, flag, messageType, ms, named, text } from './message-codec.ts';

/** The index of a mode is its number on the wire, and gNMI's. */
export const subscriptionModes = ['target-defined', 'on-change', 'sample'] as const;
export type SubscriptionMode = (typeof subscriptionModes)[number];

/** The names a device record uses; empty: the best of what Capabilities offers. */
export const encodingNames = ['proto', 'json_ietf', 'json', 'ascii', 'bytes'] as const;
export type EncodingName = (typeof encodingNames)[number];

export interface Subscription {
  /** Canonical path text, with origin if it says one. */
  readonly path: string;
  readonly mode: SubscriptionMode;
  /** 0: not said. */
  readonly intervalMs: number;
  /** 0: no heartbeat. */
  readonly heartbeatMs: number;
  readonly suppressRedundant: boolean;
}

export const subscriptionType: MessageType<Subscription> = messageType<Subscription>({
  path: text(1),
  mode: named(2, subscriptionModes),
  intervalMs: ms(3),
  heartbeatMs: ms(4),
  suppressRedundant: flag(5),
});
