import { expect, test } from '@jest/globals';
import { SideBySide } from '../../query-api/side-by-side.ts';

function part(name: string, log: string[], failure?: Error) {
  return {
    name,
    start: async () => {
      log.push(`start ${name}`);
      if (failure !== undefined) throw failure;
    },
    stop: async () => {
      log.push(`stop ${name}`);
      if (failure !== undefined) throw failure;
    },
  };
}

test('a failure of one is told, and every one is stopped all the same', async () => {
  const log: string[] = [];
  const all = new SideBySide('all', [part('a', log, new Error('a is broken')), part('b', log)]);
  await expect(all.start(new AbortController().signal)).rejects.toThrow('a is broken');
  await expect(all.stop()).rejects.toThrow('a is broken');
  expect(log).toEqual(['start a', 'start b', 'stop a', 'stop b']);
});
