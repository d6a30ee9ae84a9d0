import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type ScriptedServer, startScriptedServer } from '../scripted-server.ts';

let server: ScriptedServer;
beforeEach(async () => {
  server = await startScriptedServer();
});
afterEach(() => server.stop());

const drained = { instance: 'ingest-1', group: 'ingest', drain: true, incarnation: 'i1', changedBy: 'zoë' };
const post = 'POST /api/v1/instances/ingest-1:drain';
const ingest = 'GET /api/v1/ownership?group=ingest';
const replicator = 'GET /api/v1/ownership?group=replicator';

/** The map where these slots of four are ingest-1's. */
const held = (...slots: number[]): object => ({
  plan: null,
  slots: [0, 1, 2, 3].map((slot) => ({ slot, state: 'held', owner: slots.includes(slot) ? 'ingest-1' : 'ingest-2' })),
});

test('drain: posts, tells each change, and ends when the instance holds nothing', async () => {
  server.data(post, drained, { warnings: ['nobody can take the slots of ingest-1'] });
  server.series(ingest, [held(0, 2), held(2), held()]);
  server.data(replicator, held());
  expect(await server.run('drain', 'ingest-1')).toEqual({
    code: 0,
    out: 'ingest-1 holds 2 of 4 slots\ningest-1 holds 1 of 4 slots\ningest-1 is empty',
    err: 'warning: nobody can take the slots of ingest-1',
  });
  const [asked] = server.asked;
  expect([asked?.line, asked?.body]).toEqual([post, '']);
  expect(Buffer.from(String(asked?.headers['holdfast-user']), 'latin1').toString()).toBe('zoë');
});

test('drain: what is still held when the time is over is an exit code 1, with the slots', async () => {
  server.data(post, drained);
  server.data(ingest, held());
  server.data(replicator, held(1, 3));
  expect(await server.run('drain', 'ingest-1', '--timeout', '1')).toEqual({
    code: 1,
    out: 'ingest-1 holds 2 of 4 slots',
    err: 'holdfast: ingest-1 still holds 2 of 4 slots after 1 s: 1, 3; the wish stands, `holdfast drain ingest-1 --resume` withdraws it',
  });
  const run = await server.run('drain', 'ingest-1', '--timeout', '1', '--json');
  expect([run.code, JSON.parse(run.out)]).toEqual([1, { instance: 'ingest-1', slots: 4, held: [1, 3] }]);
});

test('drain --json prints the last state alone, --no-wait what was wished', async () => {
  server.data(post, drained);
  server.data(ingest, held());
  server.data(replicator, held());
  const { code, out, err } = await server.run('drain', 'ingest-1', '--json');
  expect([code, JSON.parse(out), err]).toEqual([0, { instance: 'ingest-1', slots: 4, held: [] }, '']);
  const before = server.asked.length;
  expect(await server.run('drain', 'ingest-1', '--no-wait')).toEqual({
    ...{ code: 0, err: '' },
    out: 'ingest-1 is to give up its slots',
  });
  expect(JSON.parse((await server.run('drain', 'ingest-1', '--no-wait', '--json')).out)).toEqual(drained);
  expect(server.asked.slice(before).map(({ line }) => line)).toEqual([post, post]);
});

test('drain --resume withdraws it and does not wait', async () => {
  const resume = 'POST /api/v1/instances/rack%2F1:resume';
  server.data(resume, { instance: 'rack/1', drain: false, withdrawn: true });
  expect(await server.run('drain', 'rack/1', '--resume')).toEqual({
    ...{ code: 0, err: '' },
    out: 'rack/1 may hold slots again',
  });
  server.data(resume, { instance: 'rack/1', drain: false, withdrawn: false });
  expect((await server.run('drain', 'rack/1', '--resume')).out).toBe('rack/1 was not drained');
  expect(JSON.parse((await server.run('drain', 'rack/1', '--resume', '--json')).out)).toMatchObject({ drain: false });
});

test('drain: problems print as those of other commands, wrong use is exit code 2', async () => {
  const problem = { status: 404, code: 'INSTANCE_UNKNOWN', title: 'instance is unknown', detail: 'there is none' };
  server.answer(post, problem, 404);
  expect(await server.run('drain', 'ingest-1')).toEqual({
    ...{ code: 1, out: '' },
    err: 'holdfast: INSTANCE_UNKNOWN: there is none',
  });
  expect((await server.run('drain')).code).toBe(2);
  expect((await server.run('drain', 'ingest-1', '--timeout', '0')).err).toContain('a whole number from 1');
});
