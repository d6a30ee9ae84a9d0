/** The start-up check that 64-bit integers come through whole. */
import { decodeDeviceMessage } from './notification.ts';

/** A time whose neighbours as doubles are 256 ns away. */
const timeNs = 1_787_000_000_000_000_001n;
/** SubscribeResponse { update: Notification { timestamp: timeNs } } */
const encoded = Buffer.from('0a0a088180feac83e1ace618', 'hex');

/** Refuses to run where they do not (L1): throws if a known time is read as another. Every process calls it at start. */
export function checkExactIntegers(): void {
  const message = decodeDeviceMessage(encoded);
  const readNs = message.kind === 'update' ? message.notification.timestampNs : undefined;
  if (readNs !== timeNs)
    throw new Error(`the time ${timeNs} was read as ${readNs}: 64-bit integers are not exact here`);
}
