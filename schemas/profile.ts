/** Profile records: named sets of subscriptions that devices refer to. */
import { type MessageType, flag, int64, list, messageType, text } from './message-codec.ts';
import { type RecordCodec, recordCodec } from './record-codec.ts';
import { type Subscription, subscriptionType } from './subscription.ts';

export interface Profile {
  readonly name: string;
  /** One of `encodingNames`; empty: the best of what Capabilities offers. */
  readonly encoding: string;
  readonly subscriptions: readonly Subscription[];
  readonly updatesOnly: boolean;
  readonly explodeJson: boolean;
  readonly changedBy: string;
  readonly changedAtNs: bigint;
}

const profileType: MessageType<Profile> = messageType<Profile>({
  name: text(1),
  encoding: text(2),
  subscriptions: list(3, subscriptionType),
  updatesOnly: flag(4),
  explodeJson: flag(5),
  changedBy: text(6),
  changedAtNs: int64(7),
});

export const profileCodec: RecordCodec<Profile> = recordCodec('holdfast.v1.Profile', profileType);
