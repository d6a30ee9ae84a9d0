import { DialGate } from '../../ingest/dial-gate.ts';

test('as many as allowed are inside, the others come in their order', async () => {
  const gate = new DialGate({ max: 2 });
  const { signal } = new AbortController();
  const order: number[] = [];
  const leaves = [await gate.enter(signal), await gate.enter(signal)];
  const waiting = [2, 3].map(async (n) => {
    const leave = await gate.enter(signal);
    order.push(n);
    return leave;
  });
  await Promise.resolve();
  expect([order, gate.waiting]).toEqual([[], 2]);
  leaves[0]?.();
  leaves[0]?.(); // leaving twice frees one place
  (await waiting[0])?.();
  await waiting[1];
  expect([order, gate.waiting]).toEqual([[2, 3], 0]);
});

test('who dials nothing passes whoever is inside, a few in each turn of the event loop, in order', async () => {
  const gate = new DialGate({ max: 1 });
  await gate.enter(new AbortController().signal);
  const passed: number[] = [];
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  for (let n = 0; n < 20; n += 1) void gate.pass().then(() => passed.push(n));
  await Promise.resolve();
  expect(passed).toHaveLength(8);
  await turn();
  expect(passed).toHaveLength(16);
  await turn();
  expect(passed).toEqual(Array.from({ length: 20 }, (_, n) => n));
  await turn();
  void gate.pass().then(() => passed.push(20)); // nobody is before it
  await Promise.resolve();
  expect(passed).toHaveLength(21);
});

test('who gives up while waiting takes no place', async () => {
  const gate = new DialGate({ max: 1 });
  const leave = await gate.enter(new AbortController().signal);
  const giveUp = new AbortController();
  const first = gate.enter(giveUp.signal);
  const second = gate.enter(new AbortController().signal);
  giveUp.abort(new Error('removed'));
  await expect(first).rejects.toThrow('removed');
  await expect(gate.enter(giveUp.signal)).rejects.toThrow('removed');
  leave();
  (await second)();
  expect(gate.waiting).toBe(0);
});
