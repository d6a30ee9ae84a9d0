/** Codecs of record types: message codecs that know their message's name and answer foreign bytes with RecordMalformed. */
import { type MessageType, codecOf, type Init } from './message-codec.ts';
import { RecordMalformed } from './position.ts';
import { type MessageName } from './topics.ts';
import { MessageMalformed } from './wire-reader.ts';

export interface RecordCodec<T> {
  readonly message: MessageName;
  /** The message without its frame. */
  encode(value: T): Buffer;
  /** Throws RecordMalformed. Bytes fields are views into `bytes`. */
  decode(bytes: Buffer): T;
}

export function recordCodec<T>(message: MessageName, type: MessageType<T>): RecordCodec<T> {
  const codec = codecOf(type);
  return {
    message,
    encode: (value) => codec.encode(value as Init<T>),
    decode(bytes) {
      try {
        return codec.decode(bytes);
      } catch (thrown) {
        if (!(thrown instanceof MessageMalformed)) throw thrown;
        throw new RecordMalformed(`${message}: ${thrown.message}`, { cause: thrown });
      }
    },
  };
}
