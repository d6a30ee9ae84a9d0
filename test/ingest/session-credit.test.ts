import fc from '../support/properties.ts';
import { type SessionCredit, UnackedBudget } from '../../ingest/session-credit.ts';

/** The invariants C1–C3 of session-credit.ts. */
const quiet = { pause: () => undefined, resume: () => undefined };

test('a session is paused at its share of the budget and resumed at half of it', () => {
  const budget = new UnackedBudget({ bytesMax: 800 });
  const said: string[] = [];
  const credit = budget.account().open({ pause: () => said.push('pause'), resume: () => said.push('resume') });
  credit.spend(99, 5n);
  expect(said).toEqual([]);
  credit.spend(1, 6n);
  expect({ said, paused: credit.paused, since: credit.outstandingSinceNs }).toEqual({
    said: ['pause'],
    paused: true,
    since: 5n,
  });
  credit.acked(49);
  expect(said).toEqual(['pause']);
  credit.acked(1);
  expect(said).toEqual(['pause', 'resume']);
  credit.acked(50);
  expect(credit.outstandingSinceNs).toBeNull();
});

test('C2 C3: paused sessions come back in the order of their pause, only as many as there is room for', () => {
  const budget = new UnackedBudget({ bytesMax: 1_000_000 });
  const resumed: number[] = [];
  const credits = [0, 1, 2, 3].map((n) =>
    budget.account().open({ pause: () => undefined, resume: () => resumed.push(n) }),
  );
  const filler = budget.account().open(quiet);
  filler.spend(1_000_000, 0n);
  for (const credit of credits) credit.spend(10, 0n);
  expect(credits.every(({ paused }) => paused)).toBe(true);
  filler.acked(65_536 * 2); // less than two shares are free: two are let in, the second on the rest
  expect(resumed).toEqual([0, 1]);
  credits[0]?.spend(900_000, 0n); // paused again, now behind the others
  filler.acked(868_928);
  for (let round = 0; round < 4; round += 1) filler.acked(0);
  credits[0]?.acked(900_000);
  expect(resumed).toEqual([0, 1, 2, 3, 0]);
});

test('C1: a lost slot gives its bytes back once, whatever is acked afterwards', () => {
  const budget = new UnackedBudget({ bytesMax: 1_000 });
  const [lost, kept] = [budget.account(), budget.account()];
  const credit = lost.open(quiet);
  kept.open(quiet).spend(70, 0n);
  credit.spend(30, 0n);
  expect(lost.forfeit()).toBe(30);
  expect(lost.forfeit()).toBe(0);
  credit.acked(30);
  credit.spend(5, 0n);
  expect(budget.usedBytes).toBe(70);
});

test('room is there after an ack that leaves half of the budget free, and waiting for it can be given up', async () => {
  const budget = new UnackedBudget({ bytesMax: 100 });
  const credit = budget.account().open(quiet);
  credit.spend(80, 0n);
  const giveUp = new AbortController();
  const waits = [budget.room(giveUp.signal), budget.room(new AbortController().signal)];
  giveUp.abort(new Error('enough'));
  await expect(waits[0]).rejects.toThrow('enough');
  credit.acked(20);
  let there = false;
  void waits[1]?.then(() => (there = true));
  await Promise.resolve();
  expect(there).toBe(false);
  credit.acked(20);
  await waits[1];
  credit.acked(40);
  await budget.room(new AbortController().signal); // nothing is on its way
});

test('C1: whatever the order of spending, acks, ends and losses, the budget is the sum of what is outstanding', () => {
  const step = fc.record({
    session: fc.nat(5),
    what: fc.constantFrom('spend', 'ack', 'close', 'forfeit'),
    bytes: fc.integer({ min: 1, max: 50_000 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const budget = new UnackedBudget({ bytesMax: 200_000 });
      const accounts = Array.from({ length: 6 }, () => budget.account());
      const lost = new Set<number>();
      const credits: SessionCredit[] = accounts.map((account) => account.open(quiet));
      for (const { session, what, bytes } of steps) {
        const credit = credits[session]!;
        if (what === 'spend') credit.spend(bytes, 0n);
        if (what === 'ack') credit.acked(Math.min(bytes, credit.outstandingBytes));
        if (what === 'close') credit.close();
        if (what === 'forfeit') {
          accounts[session]!.forfeit();
          lost.add(session);
        }
        expect(budget.usedBytes).toBe(accounts.reduce((sum, { outstandingBytes }) => sum + outstandingBytes, 0));
      }
      for (const credit of credits) credit.acked(credit.outstandingBytes);
      expect(budget.usedBytes).toBe(0);
      credits.forEach((credit, n) => {
        if (lost.has(n)) return; // its session was dropped with its slot
        expect({ n, paused: credit.paused }).toEqual({ n, paused: false }); // everything acked: nobody waits
      });
    }),
  );
});
