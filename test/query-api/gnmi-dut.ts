/** Words for one device under test. */
import { type SubscribeRequest } from '../../schemas/gnmi.ts';
import { type Init } from '../../schemas/message-codec.ts';
import { streamOf, type Subscriber } from '../simulator/subscriber.ts';
import { type GnmiFixture } from './gnmi-fixture.ts';

export type List = NonNullable<Init<SubscribeRequest>['subscribe']>;

export const up = '/if/i[name=e1]/state/up';
export const octets = '/if/i[name=e1]/state/octets';
export const ms = (count: number): bigint => BigInt(count) * 1_000_000n;
export const dut = (list: List = {}): List => ({ prefix: { target: 'dut', origin: '', elems: [] }, ...list });

/** Opens a stream of these paths of `dut`, on a connection of its own. */
export function subscribe(
  fixture: GnmiFixture,
  paths: readonly string[],
  list: List = {},
  more: object = {},
): Subscriber {
  return fixture.connect().subscribe(streamOf(paths, dut(list), more));
}
