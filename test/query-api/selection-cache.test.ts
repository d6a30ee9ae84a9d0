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

/** A held selection of 50 paths, and how often it compares when all are asked about: 0, it remembers. */
function holdCounted({ store, say }: ReturnType<typeof createStore>) {
  for (let n = 0; n < 50; n += 1) say('a', n);
  const { asked, named } = pattern('o:/l/v');
  const { selection, release } = store.hold(named);
  const ask = (): number => {
    const before = asked.count;
    for (let id = 0; id < 50; id += 1) expect(selection.covers(id)).toBe(true);
    return asked.count - before;
  };
  return { named, selection, release, ask };
}

const question = (n: number) => pattern(`o:/q${n}`).named;
const streamed = (n: number) => pattern(`o:/h${n}`).named;

test('SC1: no question and no later stream takes the place of a stream', () => {
  const { store, say } = createStore();
  const { ask } = holdCounted({ store, say });
  expect([ask(), ask()]).toEqual([51, 0]);
  for (let n = 0; n < 200; n += 1) store.select(question(n));
  expect(ask()).toBe(0);
  for (let n = 0; n < 100; n += 1) store.hold(streamed(n));
  for (let n = 0; n < 200; n += 1) store.select(question(n));
  expect(ask()).toBe(0);
});

test('SC1: questions have places beside any number of streams', () => {
  const { store } = createStore();
  for (let n = 0; n < 200; n += 1) store.hold(streamed(n));
  const first = store.select(question(0));
  for (let n = 1; n < 8; n += 1) store.select(question(n));
  expect(store.select(question(0))).toBe(first);
  for (let n = 1; n < 9; n += 1) store.select(question(n));
  expect(store.select(question(0))).not.toBe(first);
});

test('SC2: a stream without a place goes on without remembering, but for the time of a question', () => {
  const { store, say } = createStore();
  for (let n = 0; n < 56; n += 1) store.hold(streamed(n));
  const { named, selection, ask } = holdCounted({ store, say });
  expect([ask(), ask()]).toEqual([51, 0]); // nobody else wants what is left
  for (let n = 0; n < 8; n += 1) store.select(question(n));
  expect([ask(), ask()]).toEqual([100, 100]); // both steps of each path, every time
  expect(store.select(named)).toBe(selection);
  expect(store.select(named).count('a')).toBe(50); // a question: it remembers again
  expect(ask()).toBe(0);
});

test('SC2: a stream without a place gets the first that is given back, and remembers again', () => {
  const { store, say } = createStore();
  const others = Array.from({ length: 56 }, (_, n) => store.hold(streamed(n)));
  const { ask, release } = holdCounted({ store, say });
  const last = store.hold(streamed(56));
  for (let n = 0; n < 8; n += 1) store.select(question(n));
  expect(ask()).toBe(100);
  last.release(); // it had none either
  expect(ask()).toBe(100);
  others[30]?.release();
  expect([ask(), ask()]).toEqual([51, 0]);
  for (let n = 0; n < 200; n += 1) store.select(question(n));
  expect(ask()).toBe(0);
  release();
  expect(ask()).toBe(0); // a question that was just asked
  for (let n = 0; n < 64; n += 1) store.select(question(n));
  expect(ask()).toBe(100);
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

/** A store that counts the rows that are looked at to put a device in order. */
class CountingStore extends LeafStore {
  looks = 0;

  override pathOf(row: number): number {
    this.looks += 1;
    return super.pathOf(row);
  }
}

/** Devices `a`, `b` and `c` have 100 rows each, too few of all for a walk over the paths. */
function createCounting() {
  const store = new CountingStore();
  const devices = ['a', 'b', 'c', 'd'];
  for (let n = 0; n < 1_000; n += 1) {
    const at = { epoch: 1n, seq: BigInt(n), receivedAtNs: 1n };
    const slot = Math.min(Math.floor(n / 100), 3);
    store.apply(slot, devices[slot] ?? '', `o:/l[n=${n}]/v`, leaf, at);
  }
  const { named } = pattern('o:/...');
  /** Rows that a first page that ends by its limit looks at. */
  const page = (
    device: string,
    selections: { get: SelectionCache<never>['get'] } = { get: (of) => store.select(of) },
  ) => {
    const before = store.looks;
    expect(selections.get(named).leaves(device, '', 10)).toHaveLength(10);
    return store.looks - before;
  };
  return { store, named, page };
}

test('SC4: orders of devices that nobody reads to the end are bounded in paths, the last used goes last', () => {
  const { store, page } = createCounting();
  const selections = new SelectionCache(store.paths, store, 250);
  expect([page('a', selections), page('b', selections), page('a', selections)]).toEqual([100, 100, 0]);
  expect(page('c', selections)).toBe(100);
  expect([page('c', selections), page('a', selections), page('b', selections)]).toEqual([0, 0, 100]);
  const narrow = new SelectionCache(store.paths, store, 50);
  expect([page('a', narrow), page('a', narrow)]).toEqual([100, 0]); // one alone may have more
});

test('SC4: orders are let go with a sweep, a slot that is read anew, and with who held the selection', () => {
  const { store, named, page } = createCounting();
  expect([page('a'), page('a')]).toEqual([100, 0]);
  store.sweepTombstones();
  expect([page('a'), page('a')]).toEqual([100, 0]);
  store.clearSlot(1);
  expect([page('a'), page('a')]).toEqual([100, 0]);
  const { release } = store.hold(named);
  expect(page('a')).toBe(0);
  release();
  expect([page('a'), page('a')]).toEqual([100, 0]);
});

test('SC4: orders are bounded in number, and one that has to make room loses its own', () => {
  const { store, named, page } = createCounting();
  const all = Array.from({ length: 65 }, (_, n) => `e${n}`);
  for (const device of all)
    for (let n = 0; n < 10; n += 1)
      store.apply(4, device, `o:/l[n=${n}]/v`, leaf, { epoch: 1n, seq: BigInt(n), receivedAtNs: 1n });
  for (const device of all) page(device);
  expect([page('e64'), page('e1'), page('e0')]).toEqual([0, 0, 10]);
  for (let n = 0; n < 56; n += 1) store.hold(streamed(n));
  store.hold(named);
  expect(page('e0')).toBe(0);
  for (let n = 0; n < 8; n += 1) store.select(question(n));
  expect(page('e0')).toBe(10);
});
