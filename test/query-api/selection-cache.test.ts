import { expect, test } from '@jest/globals';
import { LeafStore } from '../../query-api/leaf-store.ts';
import { SelectionCache } from '../../query-api/selection-cache.ts';
import { type NamedPattern } from '../../query-api/store.ts';
import { compilePattern } from '../../schemas/path-pattern.ts';
import { parsePath } from '../../schemas/path.ts';
import { encodeTypedValue } from '../../schemas/value.ts';

const value = encodeTypedValue({ kind: 'uint', value: 7n });
const leaf = { value, timestampNs: 1n, atomicRoot: '', sampled: false };

/** With `asked`: how often a pattern was compared with an element. */
function pattern(text: string) {
  const asked = { count: 0 };
  const { steps, ...rest } = compilePattern(parsePath(text));
  const counting = steps.map((step) =>
    step === null ? null : (elem: Parameters<typeof step>[0]) => ((asked.count += 1), step(elem)),
  );
  const named: readonly NamedPattern[] = [{ text, pattern: { ...rest, steps: counting } }];
  return { asked, named };
}

function createStore() {
  const store = new LeafStore();
  let seq = 0n;
  const say = (device: string, n: number, isThere = true): void => {
    seq += 1n;
    const key = `o:/l[n=${String(n).padStart(4, '0')}]/v`;
    store.apply(0, device, key, isThere ? leaf : null, { epoch: 1n, seq, receivedAtNs: 1n });
  };
  return { store, say };
}

test('SC2: what a stream holds is the selection that all others get, compared once with each path', () => {
  const { store, say } = createStore();
  for (let n = 0; n < 100; n += 1) say('a', n);
  const { asked, named } = pattern('/o:/l/v'.slice(1));
  const [first, second] = [store.hold(named), store.hold(named)];
  expect(second.selection).toBe(first.selection);
  expect(store.select(named)).toBe(first.selection);
  for (const { selection } of [first, second])
    for (let id = 0; id < 100; id += 1) expect(selection.covers(id)).toBe(true);
  expect(asked.count).toBe(100 + 1); // `l[n=…]` each, `v` once
  first.release();
  first.release(); // once
  expect(store.hold(named).selection).toBe(second.selection);
});

test('SC1, SC2: what is held is the last to make room, and then goes on without remembering', () => {
  const { store, say } = createStore();
  for (let n = 0; n < 50; n += 1) say('a', n);
  const held = pattern('o:/l/v');
  const { selection } = store.hold(held.named);
  const ask = (): number => {
    const before = held.asked.count;
    for (let id = 0; id < 50; id += 1) expect(selection.covers(id)).toBe(true);
    return held.asked.count - before;
  };
  expect([ask(), ask()]).toEqual([51, 0]);
  for (let n = 0; n < 200; n += 1) store.select(pattern(`o:/q${n}`).named);
  expect(ask()).toBe(0);
  for (let n = 0; n < 64; n += 1) store.hold(pattern(`o:/h${n}`).named);
  expect([ask(), ask()]).toEqual([100, 100]); // both steps of each path, every time
  expect(store.select(held.named)).toBe(selection);
  expect(store.select(held.named).count('a')).toBe(50); // a question: it remembers again
  expect(ask()).toBe(0);
});

test('SC3: a device that is read in parts is put in order once, and again when a path comes meanwhile', () => {
  const { store, say } = createStore();
  for (let n = 0; n < 1_000; n += 1) say(n < 100 ? 'a' : 'b', n); // of all paths `a` has so few that its own are looked through
  const counting = { rows: 0 };
  const source = {
    rowsOf: (device: string) => store.rowsOf(device),
    isLeaf: (row: number) => store.isLeaf(row),
    pathOf: (row: number) => ((counting.rows += 1), store.pathOf(row)),
    liveOf: (path: number) => store.liveOf(path),
    copy: (...args: Parameters<LeafStore['copy']>) => store.copy(...args),
  };
  const selections = new SelectionCache(store.paths, source);
  const { named } = pattern('o:/...');
  const read = (between: (part: number) => void = () => undefined): number[] => {
    const found: number[] = [];
    for (let part = 0, after = ''; ; part += 1) {
      const leaves = selections.get(named).leaves('a', after, 10);
      found.push(...leaves.map(({ path }) => Number(/\d+/.exec(path))));
      if (leaves.length < 10) return found;
      after = leaves.at(-1)?.key ?? '';
      between(part);
    }
  };
  const numbers = Array.from({ length: 100 }, (_, n) => n);
  expect([read(), counting.rows]).toEqual([numbers, 100]);
  counting.rows = 0;
  const churned = read((part) => {
    if (part === 2) for (const n of [50, 60]) say('a', n, false);
    if (part === 3) say('a', 50); // it was a tombstone: its row was there all the time
    if (part === 4) say('a', 900);
  });
  expect(churned).toEqual([...numbers.filter((n) => n !== 60), 900]);
  expect(counting.rows).toBe(100 + 101);
});
