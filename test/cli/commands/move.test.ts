import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type ScriptedServer, startScriptedServer } from '../scripted-server.ts';

let server: ScriptedServer;
beforeEach(async () => {
  server = await startScriptedServer();
});
afterEach(() => server.stop());

const wished = { slot: 1, group: 'replicator', to: 'replicator-2', owner: 'replicator-1', pending: true };
const post = 'POST /api/v1/ownership/1:move';
const look = 'GET /api/v1/ownership?group=replicator';

const map = (owner: string | null, state: string, wish: string | null = 'replicator-2') => ({
  plan: null,
  slots: [
    { slot: 0, state: 'held', owner: 'replicator-2', wish: null },
    { slot: 1, state, owner, wish },
  ],
});

test('move: waits in the group of the instance until the slot is held there', async () => {
  server.data(post, wished, { warnings: ['the wish to move slot 1 to replicator-3 is replaced'] });
  server.series(look, [map('replicator-1', 'held'), map(null, 'released'), map('replicator-2', 'held', null)]);
  expect(await server.run('move', '1', 'replicator-2')).toEqual({
    code: 0,
    out: 'slot 1 is held by replicator-1\nslot 1 is held by nobody\nslot 1 is held by replicator-2',
    err: 'warning: the wish to move slot 1 to replicator-3 is replaced',
  });
  expect(JSON.parse(server.asked[0]!.body)).toEqual({ to: 'replicator-2' });
});

test('move: a slot that has not moved when the time is over is an exit code 1', async () => {
  server.data(post, wished);
  server.data(look, map('replicator-1', 'held'));
  expect(await server.run('move', '1', 'replicator-2', '--timeout', '1')).toEqual({
    code: 1,
    out: 'slot 1 is held by replicator-1',
    err: 'holdfast: slot 1 is held by replicator-1 after 1 s, not by replicator-2; the wish to move it to replicator-2 stands',
  });
  server.data(look, map(null, 'unowned', null));
  const run = await server.run('move', '1', 'replicator-2', '--timeout', '1', '--json');
  expect([run.code, JSON.parse(run.out)]).toEqual([1, { slot: 1, state: 'unowned', owner: null, wish: null }]);
  expect(run.err).toContain('slot 1 is held by nobody after 1 s, not by replicator-2; no wish stands');
});

test('move --json prints the slot as it is at the end, --no-wait what was wished', async () => {
  server.data(post, { ...wished, pending: false });
  server.data(look, map('replicator-2', 'held', null));
  expect(JSON.parse((await server.run('move', '1', 'replicator-2', '--json')).out)).toMatchObject({
    ...{ slot: 1, owner: 'replicator-2' },
  });
  expect((await server.run('move', '1', 'replicator-2', '--no-wait')).out).toBe('slot 1 is held by replicator-2');
  server.data(post, wished);
  expect((await server.run('move', '1', 'replicator-2', '--no-wait')).out).toBe('slot 1 is to move to replicator-2');
  expect(JSON.parse((await server.run('move', '1', 'replicator-2', '--no-wait', '--json')).out)).toEqual(wished);
});

test('move: problems print as those of other commands, a map without the slot is a bug', async () => {
  const problem = { code: 'PARAMETER_INVALID', title: 'parameter is invalid', detail: 'slot must be a whole number' };
  server.answer('POST /api/v1/ownership/a%2Fb:move', problem, 400);
  expect(await server.run('move', 'a/b', 'replicator-2')).toEqual({
    ...{ code: 1, out: '' },
    err: 'holdfast: PARAMETER_INVALID: slot must be a whole number',
  });
  server.data(post, wished);
  server.data(look, { plan: null, slots: [] });
  expect((await server.run('move', '1', 'replicator-2')).err).toContain('INTERNAL');
  expect((await server.run('move', '1')).code).toBe(2);
});
