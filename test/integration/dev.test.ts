/** `holdfast dev` as a user runs it: ready line, dev.json, a part that dies, Ctrl-C, and a second start on the same data. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DevFile } from '../../cli/dev/dev-file.ts';
import { eventually } from '../support/eventually.ts';
import { HoldfastProcess } from '../support/holdfast-process.ts';
import { testCacheDir } from '../support/test-cache.ts';

let dir = '';
let dev: HoldfastProcess;

const start = async (): Promise<void> => {
  const args = ['dev', '--data', dir, '--devices', '3', '--ingest', '1', '--query-api', '1'];
  dev = new HoldfastProcess('dev', args, { HOLDFAST_CACHE_DIR: testCacheDir });
  await eventually('the ready line', 60_000, () => /holdfast is ready in \d/.test(dev.output));
};

const devFile = (): DevFile => JSON.parse(readFileSync(join(dir, 'dev.json'), 'utf8')) as DevFile;

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'holdfast-dev-'));
  await start();
}, 90_000);

afterAll(async () => {
  await dev.stop();
  await rm(dir, { recursive: true, force: true });
}, 60_000);

test('the ready lines name the page, the addresses, three things to try and how to stop', () => {
  for (const text of ['page', 'HTTP', 'Kafka', 'logs', 'curl', 'devices list', 'kill -9', 'Ctrl-C', '--clean']) {
    expect(dev.output).toContain(text);
  }
});

test('dev.json names brokers and parts, and the part answers there', async () => {
  const { brokers, parts } = devFile();
  expect(brokers).toHaveLength(1);
  expect(parts.map(({ part }) => part).sort()).toEqual(['ingest', 'query-api', 'replicator', 'simulator']);
  for (const { pid } of parts) expect(alive(pid)).toBe(true);
  const http = parts.find(({ part }) => part === 'query-api')?.http ?? '';
  const answer = await fetch(`http://${http}/api/v1/state?path=/simulator/state/sequence`);
  expect(((await answer.json()) as { data: { leaves: unknown[] } }).data.leaves).toHaveLength(3);
});

test('a part that dies is started again, with a line, and dev.json names the new process', async () => {
  const before = devFile().parts.find(({ part }) => part === 'replicator')?.pid ?? 0;
  process.kill(before, 'SIGKILL');
  await eventually('a new replicator', 20_000, () => {
    const now = devFile().parts.find(({ part }) => part === 'replicator')?.pid;
    return now !== undefined && now !== before && alive(now);
  });
  expect(dev.output).toContain('replicator-1 ended (SIGKILL); starting it again');
}, 30_000);

test('a signal stops every child; a second start on the same data is ready again', async () => {
  const pids = devFile().parts.map(({ pid }) => pid);
  dev.signal('SIGINT');
  expect(await dev.exited).toBe(0);
  expect(pids.filter(alive)).toEqual([]);
  expect(existsSync(join(dir, 'dev.json'))).toBe(false);
  await start();
}, 120_000);

test('the second signal ends everything at once', async () => {
  const pids = devFile().parts.map(({ pid }) => pid);
  const beganAt = performance.now();
  dev.signal('SIGINT');
  await eventually('stopping', 5_000, () => dev.output.includes('stopping'));
  dev.signal('SIGINT');
  expect(await dev.exited).toBe(130);
  expect(performance.now() - beganAt).toBeLessThan(5_000);
  await eventually('no child is left', 5_000, () => pids.filter(alive).length === 0);
}, 30_000);
