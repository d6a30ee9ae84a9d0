/** The start-up check that 64-bit integers come through whole. */
import { gnmi } from './gnmi.ts';
import { decodeDeviceMessage } from './notification.ts';

/** A time whose neighbours as doubles are 256 ns away. */
const timeNs = 1_787_000_000_000_000_001n;
/** SubscribeResponse { update: Notification { timestamp: timeNs } } */
const encoded = Buffer.from('0a0a088180feac83e1ace618', 'hex');

/**
 * Refuses to run where they do not: throws if a known time is read or written as another. protobufjs rounds if it does
 * not find the package `long` (L1); the reader of the data path needs none. Every process calls it at start.
 */
export function checkExactIntegers(): void {
  const message = decodeDeviceMessage(encoded);
  check('read', message.kind === 'update' ? message.notification.timestampNs : undefined);
  check('decoded', gnmi.SubscribeResponse.decode(encoded).update?.timestamp);
  check(
    'written',
    gnmi.SubscribeResponse.encode({ update: { timestamp: timeNs } }).equals(encoded) ? timeNs : undefined,
  );
}

function check(step: string, seenNs: bigint | undefined): void {
  if (seenNs === timeNs) return;
  throw new Error(`the time ${timeNs} was ${step} as ${seenNs ?? 'other bytes'}: 64-bit integers are not exact here`);
}
