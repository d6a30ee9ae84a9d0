/** A stream that tells only when it is told to: at moments that a test chooses, without sockets. */
import { EventEmitter } from 'node:events';
import { isRefusal } from '../../core/gnmi/refusal.ts';
import { planSubscribe } from '../../core/gnmi/subscribe-plan.ts';
import { GnmiStream } from '../../query-api/gnmi-stream.ts';
import { GnmiWriter } from '../../query-api/gnmi-writer.ts';
import { gnmi, type SubscribeResponse } from '../../schemas/gnmi.ts';
import { streamOf } from '../simulator/subscriber.ts';
import { type GnmiFixture } from './gnmi-fixture.ts';

export function openPaused(
  fixture: Pick<GnmiFixture, 'clock' | 'context' | 'tables'>,
  paths: readonly string[],
  target = '*',
  list: object = {},
  more: object = {},
) {
  const messages: Buffer[] = [];
  const call = Object.assign(new EventEmitter(), {
    write: (message: Buffer, done: () => void) => {
      messages.push(message);
      done();
      return true;
    },
  });
  const nothing = (): void => undefined;
  const { clock, context } = fixture;
  const writer = new GnmiWriter({ call, clock, blockedMsMax: 1_000, onReady: nothing, onBlockedTooLong: nothing });
  const request = streamOf(paths, { prefix: { target, origin: '', elems: [] }, ...list }, more);
  const plan = planSubscribe(gnmi.SubscribeRequest.decode(gnmi.SubscribeRequest.encode(request)).subscribe!, {
    offers: ['PROTO'],
    sampleIntervalMsMin: 100,
  });
  if (isRefusal(plan)) throw new Error(plan.details);
  const device = target === '*' ? null : target;
  const stream = new GnmiStream({ context, writer, plan, depth: 0, device, wake: nothing, end: nothing });
  stream.begin(device === null ? [...fixture.tables.devices.keys()] : [device]);
  /** At most `steps` of what waits; returns what that was, as it was written. */
  const tellSome = (steps = Infinity): Buffer[] => {
    let left = steps;
    while (left > 0 && stream.work(() => --left <= 0));
    return messages.splice(0);
  };
  /** Everything that waits. */
  const tell = (): SubscribeResponse[] => tellSome().map((message) => gnmi.SubscribeResponse.decode(message));
  const close = (): void => {
    stream.close();
    writer.close();
  };
  return { stream, tell, tellSome, close };
}
