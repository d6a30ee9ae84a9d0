import { expect, test } from '@jest/globals';
import { isAbort, manyWaits, raceAbort } from '../../core/abort.ts';
import { deferred } from '../../core/deferred.ts';

test('work that ends first gives its result, whatever the signal does later', async () => {
  const controller = new AbortController();
  expect(await raceAbort(Promise.resolve(7), controller.signal)).toBe(7);
  await expect(raceAbort(Promise.reject(new Error('no')), controller.signal)).rejects.toThrow('no');
  controller.abort();
});

test('an abort wins over work that hangs, and the late rejection of that work is nobody’s problem', async () => {
  const controller = new AbortController();
  const work = deferred<number>();
  const racing = raceAbort(work.promise, controller.signal);
  const reason = new Error('enough');
  controller.abort(reason);
  await expect(racing).rejects.toBe(reason);
  work.reject(new Error('too late')); // unhandled, it would fail this file
  await expect(raceAbort(Promise.reject(new Error('later')), controller.signal)).rejects.toBe(reason);
});

test('only what the signal caused is an abort', () => {
  const controller = new AbortController();
  const reason = new Error('enough');
  expect(isAbort(reason, controller.signal)).toBe(false);
  controller.abort(reason);
  expect(isAbort(reason, controller.signal)).toBe(true);
  expect(isAbort(new DOMException('aborted', 'AbortError'), controller.signal)).toBe(true);
  expect(isAbort(new Error('another'), controller.signal)).toBe(false);
});

test('many waits of one call hang on one signal without a warning, and end with it', async () => {
  const warnings: string[] = [];
  const note = ({ name }: Error): unknown => warnings.push(name);
  process.on('warning', note);
  const controller = new AbortController();
  const shared = manyWaits(controller.signal);
  const waits = Array.from({ length: 200 }, () => raceAbort(new Promise(() => undefined), shared));
  await new Promise((resolve) => setImmediate(resolve)); // warnings are told on the next turn
  controller.abort(new Error('enough'));
  const ends = await Promise.allSettled(waits);
  expect(ends.every(({ status }) => status === 'rejected')).toBe(true);
  process.off('warning', note);
  expect(warnings).toEqual([]);
});
