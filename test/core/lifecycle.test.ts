import { expect, test } from '@jest/globals';
import { type Component, startAll } from '../../core/lifecycle.ts';
import { silentLogger } from '../../core/logger.ts';

const { signal } = new AbortController();

function recorded(name: string, log: string[], fails?: 'start' | 'stop'): Component {
  return {
    name,
    start: async () => {
      log.push(`start ${name}`);
      if (fails === 'start') throw new Error(`${name} cannot start`);
    },
    stop: async () => {
      log.push(`stop ${name}`);
      if (fails === 'stop') throw new Error(`${name} cannot stop`);
    },
  };
}

test('starts in order, stops in reverse, and only once', async () => {
  const log: string[] = [];
  const stopAll = await startAll([recorded('a', log), recorded('b', log)], silentLogger, signal);
  await stopAll();
  await stopAll();
  expect(log).toEqual(['start a', 'start b', 'stop b', 'stop a']);
});

test('a start that fails stops what was begun, the failing one included, and throws its error', async () => {
  const log: string[] = [];
  await expect(
    startAll([recorded('a', log), recorded('b', log, 'start'), recorded('c', log)], silentLogger, signal),
  ).rejects.toThrow('b cannot start');
  expect(log).toEqual(['start a', 'start b', 'stop b', 'stop a']);
});

test('a stop that fails does not keep the others from stopping', async () => {
  const log: string[] = [];
  const stopAll = await startAll([recorded('a', log), recorded('b', log, 'stop')], silentLogger, signal);
  await stopAll();
  expect(log).toEqual(['start a', 'start b', 'stop b', 'stop a']);
});
