import { systemClock, type Clock } from '../../core/clock.ts';
import { SessionWatch } from '../../ingest/session-watch.ts';

test('one timer ticks everything that is watched, with the monotonic time', async () => {
  let fire: () => void = () => undefined;
  let cancelled = 0;
  const every: Clock['every'] = (_ms, callback) => {
    fire = callback;
    return { cancel: () => (cancelled += 1) };
  };
  const watch = new SessionWatch({ clock: { ...systemClock, every, monotonicMs: () => 42 } });
  await watch.start();
  const ticks: string[] = [];
  const one = { tick: (ms: number) => ticks.push(`one ${ms}`) };
  const two = {
    tick: (ms: number) => {
      ticks.push(`two ${ms}`);
      watch.remove(two); // a session that ends in its own tick
    },
  };
  watch.add(one);
  watch.add(two);
  fire();
  fire();
  expect(ticks).toEqual(['one 42', 'two 42', 'one 42']);
  await watch.stop();
  await watch.stop();
  expect(cancelled).toBe(1);
});
