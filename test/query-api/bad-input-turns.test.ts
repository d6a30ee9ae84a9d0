/** Whoever asks for everything does not hold up those who ask for one leaf. */
import { afterEach, expect, test } from '@jest/globals';
import { type Clock } from '../../core/clock.ts';
import { encodeTypedValue } from '../../schemas/value.ts';
import { answerQuestion, parseQuestion } from '../../query-api/state-question.ts';
import { type Api, slots, startApi } from './api-fixture.ts';
import { answerTo, request } from './raw-client.ts';

let api: Api;
afterEach(() => api.server.stop());

async function fill(devices: number, leavesEach: number): Promise<void> {
  api = await startApi({ maxLeaves: 10_000, maxBodyBytes: 1_000_000 });
  const device = { addresses: ['192.0.2.1:9339'], plaintext: true, subscriptions: [{ path: '/' }] };
  const names = Array.from({ length: devices }, (_, n) => `d${n}`);
  const reply = await api.send('POST', '/api/v1/devices:import', {
    devices: names.map((name) => ({ name, ...device })),
  });
  expect(reply.status).toBe(200);
  const value = encodeTypedValue({ kind: 'uint', value: 1n });
  const paths = Array.from({ length: leavesEach }, (_, n) => `/ifs/if[name=${n}]/in`);
  for (const name of names) {
    const leaves = paths.map((path) => ({ device: name, origin: 'openconfig', path, value }));
    api.state.write(2n, leaves);
  }
}

const single = request('GET', '/api/v1/devices/d1/state?path=/ifs/if[name=7]/in');

/** Each look at the clock is 3 ms of work: turns end by what was done, on a slow machine as on a fast one. */
function countedClock(clock: Clock): Clock {
  let looks = 0;
  return { ...clock, monotonicMs: () => clock.monotonicMs() + (looks += 3) };
}

test.each([
  [200, 1_000],
  [2, 20_000],
])(
  'while a page of %i devices with %i leaves each is made, a single leaf is answered ten times',
  async (devices, leavesEach) => {
    await fill(devices, leavesEach);
    Object.assign(api.clock, countedClock({ ...api.clock }));
    const everything = request('GET', '/api/v1/state?path=/...');
    const reading = { isOver: false };
    const page = answerTo(api.server.port, everything).finally(() => (reading.isOver = true));
    let answered = 0;
    while (!reading.isOver) {
      expect((await answerTo(api.server.port, single)).status).toBe(200);
      answered += 1;
    }
    expect((await page).status).toBe(200);
    process.stdout.write(`beside ${devices} × ${leavesEach} leaves: ${answered} single ones\n`);
    expect(answered).toBeGreaterThanOrEqual(10);
  },
  60_000,
);

test('while an import of 5,000 devices is read, a single leaf is answered ten times', async () => {
  await fill(2, 10);
  Object.assign(api.clock, countedClock({ ...api.clock }));
  const device = { addresses: ['192.0.2.1:9339'], plaintext: true, subscriptions: [{ path: '/' }] };
  const devices = Array.from({ length: 5_000 }, (_, n) => ({ name: `n${n}`, ...device }));
  const body = JSON.stringify({ devices: [...devices, { name: 'odd' }] }); // none of them is written
  const headers = 'Content-Type: application/json\r\n';
  const reading = { isOver: false };
  const importing = answerTo(api.server.port, request('POST', '/api/v1/devices:import', headers, body)).finally(
    () => (reading.isOver = true),
  );
  let answered = 0;
  while (!reading.isOver) {
    expect((await answerTo(api.server.port, single)).status).toBe(200);
    answered += 1;
  }
  expect((await importing).code).toBe('BODY_INVALID');
  expect(answered).toBeGreaterThanOrEqual(10);
}, 20_000);

test('a page of one device lets others in every few leaves', async () => {
  await fill(1, 10_000);
  let turns = 0;
  let isOver = false;
  const count = (): void => {
    turns += 1;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  const question = parseQuestion(new Map(), { maxLeaves: 20_000, maxPathElements: 16 });
  const source = { store: api.context.state.store, slots, clock: countedClock(api.clock) };
  const page = await answerQuestion(question, ['d0'], source, new AbortController().signal);
  isOver = true;
  expect([page.leaves.length, page.total, page.next]).toEqual([10_000, 10_000, null]);
  expect(new Set(page.leaves).size).toBe(10_000);
  expect(turns).toBeGreaterThan(120); // 10,000 leaves, a look every 32, an end after 2 looks
});
