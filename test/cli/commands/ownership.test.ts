import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type ScriptedServer, startScriptedServer } from '../scripted-server.ts';

let server: ScriptedServer;
beforeEach(async () => {
  server = await startScriptedServer();
});
afterEach(() => server.stop());

test('ownership: leader and plan, then owner and standby of each slot, of the group asked for', async () => {
  const held = {
    state: 'held',
    owner: 'ingest-1',
    standby: 'ingest-2',
    wish: 'ingest-3',
    epoch: '5',
    position: '0:5:9',
    reason: 'crash',
  };
  const none = { state: 'unowned', owner: null, standby: null, wish: null, epoch: null, position: null, reason: null };
  const data = {
    plan: { version: '1795246383702', leader: 'ingest-2' },
    slots: [
      { slot: 0, ...held },
      { slot: 1, ...none },
    ],
  };
  server.data('GET /api/v1/ownership?group=ingest', data);
  expect((await server.run('ownership')).out.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
    ['leader ingest-2, plan version 1795246383702'],
    ['SLOT', 'STATE', 'OWNER', 'STANDBY', 'WISH', 'EPOCH', 'POSITION', 'REASON'],
    ['0', 'held', 'ingest-1', 'ingest-2', 'ingest-3', '5', '0:5:9', 'crash'],
    ['1', 'unowned', '-', '-', '-', '-', '-', '-'],
  ]);
  server.data('GET /api/v1/ownership?group=ingest', { ...data, plan: { version: '7', leader: null } });
  expect((await server.run('ownership')).out).toMatch(/^leader -, plan version 7\n/);
  server.data('GET /api/v1/ownership?group=ingest', { ...data, plan: null });
  expect((await server.run('ownership')).out).toMatch(/^no plan yet/);
  const [first, second] = data.slots;
  server.data('GET /api/v1/ownership?group=ingest', { ...data, slots: [first], next: 'one' });
  server.data('GET /api/v1/ownership?group=ingest&next=one', { ...data, slots: [second], next: null });
  expect((await server.run('ownership')).out.split('\n')).toHaveLength(4); // all pages of a server that makes short ones
  server.data('GET /api/v1/ownership?group=replicator', data);
  expect(JSON.parse((await server.run('ownership', '--group', 'replicator', '--json')).out)).toEqual(data);
  expect((await server.run('ownership', '--group', 'x')).code).toBe(2);
});
