import { messageOf } from '../../../core/errors.ts';
import { LogPartition } from '../../../core/kafka/log-partition.ts';

const never = new AbortController().signal;

async function settled(promise: Promise<void>): Promise<string> {
  const waiting = new Promise<string>((resolve) => setImmediate(() => resolve('waiting')));
  return Promise.race([promise.then(() => 'done').catch(messageOf), waiting]);
}

describe('L2: caught up is decided by position', () => {
  test('an empty log is caught up at once', async () => {
    const partition = new LogPartition('t', 0, 'earliest');
    const reached = partition.reach('end', never);
    expect(await settled(reached)).toBe('waiting');
    expect(partition.resolve(7n, 7n)).toBe(true);
    expect(await settled(reached)).toBe('done');
    expect(partition.nextOffset).toBe(7n);
  });

  test('the end noted before reading counts, not where the log ends later', async () => {
    const partition = new LogPartition('t', 0, 'earliest');
    partition.resolve(0n, 10n);
    partition.sawHighWatermark(50n);
    const reached = partition.reach('end', never);
    partition.advance(9n);
    expect(await settled(reached)).toBe('waiting');
    expect(partition.lag).toBe(41n);
    partition.advance(10n);
    expect(await settled(reached)).toBe('done');
    expect(partition.caughtUp).toBe(true);
  });
});

test.each([
  { from: 'earliest' as const, earliest: 5n, latest: 9n, inLog: true, nextOffset: 5n },
  { from: 5n, earliest: 5n, latest: 9n, inLog: true, nextOffset: 5n },
  { from: 9n, earliest: 5n, latest: 9n, inLog: true, nextOffset: 9n },
  { from: 4n, earliest: 5n, latest: 9n, inLog: false, nextOffset: null },
  { from: 10n, earliest: 5n, latest: 9n, inLog: false, nextOffset: null },
])('from $from in a log of $earliest to $latest', ({ from, earliest, latest, inLog, nextOffset }) => {
  const partition = new LogPartition('t', 0, from);
  expect(partition.resolve(earliest, latest)).toBe(inLog);
  expect(partition.nextOffset).toBe(nextOffset);
});

test('reset begins anew: what was caught up no longer is, and a waiter waits for the new end', async () => {
  const partition = new LogPartition('t', 0, 3n);
  partition.resolve(0n, 3n);
  expect(partition.caughtUp).toBe(true);
  partition.reset();
  expect(partition.caughtUp).toBe(false);
  expect(partition.lag).toBeNull();
  const reached = partition.reach('end', never);
  partition.resolve(4n, 6n);
  expect(partition.nextOffset).toBe(4n);
  expect(await settled(reached)).toBe('waiting');
  partition.advance(6n);
  expect(await settled(reached)).toBe('done');
});

test('waiters end with the signal, with the removal, and after it', async () => {
  const partition = new LogPartition('t', 0, 'earliest');
  const leaving = new AbortController();
  const first = partition.reach(4n, leaving.signal);
  const second = partition.reach(4n, never);
  leaving.abort(new Error('left'));
  expect(await settled(first)).toBe('left');
  partition.remove(new Error('unassigned'));
  expect(await settled(second)).toBe('unassigned');
  expect(await settled(partition.reach('end', never))).toBe('unassigned');
});
