/** Names that every object has, and questions that match everything: they are like any other. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { SseClient } from '../support/sse-client.ts';
import { type Api, startApi } from './api-fixture.ts';
import { answerTo, request } from './raw-client.ts';

let api: Api;
const clients: SseClient[] = [];
beforeEach(async () => {
  api = await startApi({ maxLeaves: 100 });
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await api.server.stop();
});

interface StatePage {
  readonly leaves: readonly { readonly device: string; readonly path: string; readonly value: unknown }[];
  readonly total: number;
  readonly next: string | null;
}

async function state(query: string): Promise<StatePage> {
  const reply = await api.ask(`/api/v1/state?${query}`);
  expect(reply.status).toBe(200);
  return reply.body.data as unknown as StatePage;
}

/** All that a stream has until it is synced. */
async function stream(query: string): Promise<SseClient> {
  const client = new SseClient({ port: api.server.port, path: `/api/v1/state/stream${query}` });
  clients.push(client);
  return client.synced();
}

const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty'];

test.each(names)('%s is a list key, a device, a profile and a label like any other (N18)', async (name) => {
  const profile = await api.send('PUT', `/api/v1/profiles/${name}`, { subscriptions: [{ path: `/a[${name}=x]` }] });
  expect([profile.status, (await api.ask(`/api/v1/profiles/${name}`)).body.data['name']]).toEqual([201, name]);
  const labels = `{"${name}":"x","b":"y"}`;
  const document = `{"addresses":["192.0.2.1:9339"],"plaintext":true,"profiles":["${name}"],"labels":${labels}}`;
  const json = 'Content-Type: application/json\r\n';
  const put = (): Buffer => request('PUT', `/api/v1/devices/${name}`, json, document);
  expect((await answerTo(api.server.port, put())).status).toBe(201);
  // The text, as it is: an own member of this name, and nothing else.
  expect((await api.ask(`/api/v1/devices/${name}`)).text).toMatch(
    new RegExp(`"labels":\\{(?:"${name}":"x","b":"y"|"b":"y","${name}":"x")\\}`),
  );
  expect((await api.ask(`/api/v1/devices?label=${name}=x`)).body.data['devices']).toHaveLength(1);
  expect((await api.ask(`/api/v1/devices?label=${name}=y`)).body.data['devices']).toHaveLength(0);
  await api.addDevice('other');
  const path = `/a/b[${name}=x]/c`;
  api.addLeaf(name, path, { kind: 'string', value: 'mine' });
  api.addLeaf('other', path.replace('=x', '=z'), { kind: 'string', value: 'not mine' });
  const mine = [expect.objectContaining({ device: name, path, value: 'mine' })];
  expect(await state(`path=/a/b[${name}=x]`)).toMatchObject({ total: 1, leaves: mine });
  expect(await state(`device=${name}&path=${path}`)).toMatchObject({ total: 1, leaves: mine });
  expect((await state(`path=/a/b[${name}=*]`)).total).toBe(2);
  expect((await api.ask(`/api/v1/devices/${name}/state?path=${path}`)).text).toContain('"value":"mine"');
  expect({}).not.toHaveProperty('x');
});

test('what matches everything is answered in pages of bounded size that leave nothing out', async () => {
  for (const device of ['a', 'b', 'c']) {
    await api.addDevice(device);
    for (let n = 0; n < 80; n += 1) api.addLeaf(device, `/l[n=${n}]/v`, { kind: 'uint', value: BigInt(n) });
  }
  for (const path of ['/', '/...', '/*', '/.../...', '/.../v', `${'/...'.repeat(15)}/v`]) {
    const seen = new Set<string>();
    let pages = 0;
    for (let next: string | null = ''; next !== null; pages += 1) {
      const page = await state(`path=${path}${next === '' ? '' : `&next=${next}`}`);
      expect([path, page.total, page.leaves.length <= 100]).toEqual([path, 240, true]);
      for (const leaf of page.leaves) seen.add(`${leaf.device} ${leaf.path}`);
      ({ next } = page);
    }
    expect([path, pages, seen.size]).toEqual([path, 3, 240]);
  }
});

test('streams of such a list key, and of what matches everything, have all of it', async () => {
  await api.addDevice('a');
  for (const name of names) api.addLeaf('a', `/a/b[${name}=x]/c`, { kind: 'string', value: name });
  const keyed = await stream('?path=/a/b[__proto__=x]');
  expect(keyed.leaves.map(({ path, value }) => [path, value])).toEqual([['/a/b[__proto__=x]/c', '__proto__']]);
  for (const path of ['/', '/...', `${'/...'.repeat(15)}/c`]) {
    const all = await stream(`?path=${path}`);
    expect([path, all.leaves.map(({ value }) => value).sort()]).toEqual([path, [...names].sort()]);
  }
});
