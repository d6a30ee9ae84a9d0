import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type ScriptedServer, startScriptedServer } from '../scripted-server.ts';

let server: ScriptedServer;
beforeEach(async () => {
  server = await startScriptedServer();
});
afterEach(() => server.stop());

test('ownership: owner and standby of each slot, of the group asked for', async () => {
  const held = {
    state: 'held',
    owner: 'ingest-1',
    standby: 'ingest-2',
    epoch: '5',
    position: '0:5:9',
    reason: 'crash',
  };
  const none = { state: 'unowned', owner: null, standby: null, epoch: null, position: null, reason: null };
  const data = {
    plan: null,
    slots: [
      { slot: 0, ...held },
      { slot: 1, ...none },
    ],
  };
  server.data('GET /api/v1/ownership?group=ingest', data);
  expect((await server.run('ownership')).out.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
    ['SLOT', 'STATE', 'OWNER', 'STANDBY', 'EPOCH', 'POSITION', 'REASON'],
    ['0', 'held', 'ingest-1', 'ingest-2', '5', '0:5:9', 'crash'],
    ['1', 'unowned', '-', '-', '-', '-', '-'],
  ]);
  server.data('GET /api/v1/ownership?group=replicator', data);
  expect(JSON.parse((await server.run('ownership', '--group', 'replicator', '--json')).out)).toEqual(data);
  expect((await server.run('ownership', '--group', 'x')).code).toBe(2);
});
