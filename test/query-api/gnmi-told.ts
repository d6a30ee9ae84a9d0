/** What a subscriber was told, as lines that tests compare. */
import { formatPath } from '../../schemas/path.ts';
import { type Subscriber } from '../simulator/subscriber.ts';

/** `path=value` and `-path`, in the order of arrival, without health leaves. */
export const told = (subscriber: Pick<Subscriber, 'responses'>): string[] =>
  subscriber.responses.flatMap(({ update: notification, syncResponse }) => {
    if (syncResponse === true) return ['sync'];
    const prefix = notification?.prefix?.elems ?? [];
    const text = (one: { elems: (typeof prefix)[number][] | readonly (typeof prefix)[number][] } | undefined): string =>
      formatPath({ origin: '', target: '', elems: [...prefix, ...(one?.elems ?? [])] });
    const deletes = (notification?.delete ?? []).map((one) => `-${text(one)}`);
    const updates = (notification?.update ?? []).map(({ path: at, val }) => `${text(at)}=${short(val)}`);
    return [...deletes, ...updates].filter((line) => !line.includes('/meta/'));
  });
const short = (val: Buffer | undefined): string => {
  const bytes = val ?? Buffer.alloc(0);
  return bytes[0] === 0x18 ? String(bytes[1]) : bytes.subarray(2).toString();
};
