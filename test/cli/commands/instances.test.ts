import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type ScriptedServer, startScriptedServer } from '../scripted-server.ts';

let server: ScriptedServer;
beforeEach(async () => {
  server = await startScriptedServer();
});
afterEach(() => server.stop());

test('instances: who is there, since when not seen, and draining', async () => {
  const ingest = { instance: 'ingest-1', role: 'ingest', http: null, zone: 'a', version: '0.1.0', seenMs: 430 };
  server.data('GET /api/v1/instances', { instances: [{ ...ingest, draining: true, load: 0.314, slots: 8 }] });
  expect((await server.run('instances')).out.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
    ['INSTANCE', 'ROLE', 'HTTP', 'ZONE', 'VERSION', 'SEEN', 'LOAD', 'SLOTS'],
    ['ingest-1', 'ingest (draining)', '-', 'a', '0.1.0', '430 ms ago', '0.31', '8'],
  ]);
  server.data('GET /api/v1/instances', { instances: [] });
  expect((await server.run('instances')).out).toContain('no instance was seen');
});
