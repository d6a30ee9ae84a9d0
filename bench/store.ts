/**
 * What a leaf costs in memory, and what a question over a whole fleet costs, against the plain way to do it: one Map from
 * device and path to an object. 2,000 devices × 500 leaves. Each variant runs in a process of its own, the two in turns.
 * Targets: at most 64 bytes a numeric leaf; matching and counting 50,000 hits 50 times, the whole answer 8 times as fast as
 * the plain store. `npx tsx bench/store.ts [turns=3]`
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../core/clock.ts';
import { LeafStore } from '../query-api/leaf-store.ts';
import { answerQuestion } from '../query-api/state-question.ts';
import { compilePattern } from '../schemas/path-pattern.ts';
import { parsePath } from '../schemas/path.ts';
import { slotOf } from '../schemas/slot.ts';
import { encodeTypedValue } from '../schemas/value.ts';

const deviceTotal = 2_000;
const interfaces = 25;
const counters = 20;
const slots = 64;
const limit = 1_000;
const asked = '/interfaces/interface[name=*]/state/counters/in-octets';
const epoch = 1_795_246_383_702n;
const startNs = 1_795_246_383_702_000_001n;

const devices = Array.from({ length: deviceTotal }, (_, n) => `leaf-${String(n).padStart(4, '0')}.example`);
const names = ['in-octets', ...Array.from({ length: counters - 1 }, (_, n) => `counter-number-${n}`)];
const pathAt = (n: number): string =>
  `/interfaces/interface[name=et-0/0/${Math.floor(n / counters)}]/state/counters/${names[n % counters] ?? ''}`;
const leavesPerDevice = interfaces * counters;
const valueAt = (device: number, leaf: number, round: number): bigint =>
  BigInt(device * leavesPerDevice + leaf) * 1_000_003n + (BigInt(round) << 52n);

/** Leaves as records bring them: the 20 of an interface at a time, strings and Buffers of their own. */
function forEachLeaf(round: number, visit: (device: string, path: string, value: bigint, n: bigint) => void): void {
  let n = 0n;
  for (let first = 0; first < leavesPerDevice; first += counters) {
    for (const [index, device] of devices.entries()) {
      for (let leaf = first; leaf < first + counters; leaf += 1) {
        n += 1n;
        visit(fresh(device), fresh(pathAt(leaf)), valueAt(index, leaf, round), n);
      }
    }
  }
}
/** As decoding a record makes it: another string every time, with no hash yet. */
const fresh = (text: string): string => Buffer.from(text, 'latin1').toString('latin1');

interface Variant {
  fill(round: number): void;
  count(): number;
  /** As a question that nobody has asked before. */
  countAnew(): number;
  answer(): Promise<string>;
}

/** The plain store: no path is known but as a part of a key. */
function plainStore(): Variant {
  interface PlainLeaf {
    readonly device: string;
    readonly path: string;
    value: bigint;
    timestampNs: bigint;
    epoch: bigint;
    seq: bigint;
  }
  const leaves = new Map<string, PlainLeaf>();
  // A pattern made ready once, and matched by the engine's own code: what a plain store does at its best.
  const pattern =
    /^[^|]*\|openconfig:\/interfaces\/interface\[name=(?:[^\\\]]|\\.)*\]\/state\/counters\/in-octets(?:\/|$)/;
  const hits = (): PlainLeaf[] => {
    const found: PlainLeaf[] = [];
    for (const [key, leaf] of leaves) if (pattern.test(key)) found.push(leaf);
    return found;
  };
  const count = (): number => {
    let found = 0;
    for (const key of leaves.keys()) if (pattern.test(key)) found += 1;
    return found;
  };
  return {
    count,
    countAnew: count,
    fill: (round) =>
      forEachLeaf(round, (device, path, value, n) => {
        const key = `${device}|openconfig:${path}`;
        const leaf = leaves.get(key);
        const seq = BigInt(round) * 1_000_000n + n;
        if (leaf === undefined) leaves.set(key, { device, path, value, timestampNs: startNs + n, epoch, seq });
        else {
          leaf.value = value;
          leaf.timestampNs = startNs + n;
          leaf.epoch = epoch;
          leaf.seq = seq;
        }
      }),
    answer: () => {
      const nowNs = systemClock.nowNs();
      const found = hits().sort((a, b) =>
        a.device < b.device ? -1 : a.device > b.device ? 1 : a.path < b.path ? -1 : 1,
      );
      const texts = found.slice(0, limit).map((leaf) => {
        const ageMs = Math.max(0, Number((nowNs - leaf.timestampNs) / 1_000_000n));
        return `{"device":${JSON.stringify(leaf.device)},"origin":"openconfig","path":${JSON.stringify(leaf.path)},"value":"${leaf.value}","type":"uint","timestamp":"${leaf.timestampNs}","ageMs":${ageMs},"position":"${slotOf(leaf.device, slots)}:${leaf.epoch}:${leaf.seq}"}`;
      });
      return Promise.resolve(`[${texts.join(',')}] ${found.length}`);
    },
  };
}

function typedStore(): Variant {
  const store = new LeafStore();
  const patterns = [{ text: asked, pattern: compilePattern(parsePath(asked)) }];
  const signal = new AbortController().signal;
  let asks = 0;
  const question = { patterns, encoding: 'rfc7951', limit, after: undefined } as const;
  return {
    fill: (round) =>
      forEachLeaf(round, (device, path, value, n) => {
        const record = {
          value: encodeTypedValue({ kind: 'uint', value }),
          timestampNs: startNs + n,
          sampled: true,
          atomicRoot: '',
        };
        const seq = BigInt(round) * 1_000_000n + n;
        store.apply(slotOf(device, slots), device, `openconfig:${path}`, record, { epoch, seq, receivedAtNs: startNs });
      }),
    count: () => store.select(patterns).total,
    countAnew: () => {
      asks += 1;
      return store.select([{ text: `${asked} ${asks}`, pattern: compilePattern(parsePath(asked)) }]).total;
    },
    answer: async () => {
      const page = await answerQuestion(question, devices, { store, slots, clock: systemClock }, signal);
      return `[${page.leaves.join(',')}] ${page.total}`;
    },
  };
}

/** Nanoseconds of one call: the median of those that fit into 2 s, after as many as fit into half a second. */
async function nsOf(call: () => unknown): Promise<number> {
  const times: number[] = [];
  for (const [forMs, keep] of [
    [500, false],
    [2_000, true],
  ] as const) {
    const until = performance.now() + forMs;
    do {
      const started = process.hrtime.bigint();
      await call();
      if (keep) times.push(Number(process.hrtime.bigint() - started));
    } while (performance.now() < until);
  }
  return times.sort((a, b) => a - b)[times.length >>> 1] ?? 0;
}

/** The engine's room for young objects grows to 32 MB once some survive, in any process that reads a log: not a leaf's cost. */
function fillNursery(): void {
  let kept: object[] = [];
  for (let n = 0; n < 2_000_000; n += 1) {
    kept.push({ n });
    if (kept.length > 200_000) kept = [];
  }
}

async function residentBytes(): Promise<number> {
  const collect = (globalThis as { gc?: () => void }).gc;
  for (let round = 0; round < 4; round += 1) {
    collect?.();
    await systemClock.sleep(100);
  }
  return process.memoryUsage.rss();
}

interface Figures {
  readonly bytesPerLeaf: number;
  readonly insertNs: number;
  readonly updateNs: number;
  readonly inputNs: number;
  readonly firstCountNs: number;
  readonly countAnewNs: number;
  readonly countNs: number;
  readonly answerNs: number;
  readonly hits: number;
  /** Without what depends on the moment. */
  readonly text: string;
}

async function measure(variant: Variant): Promise<Figures> {
  const leaves = deviceTotal * leavesPerDevice;
  /** CPU of the process: what else runs on the machine counts less. */
  const timed = (run: () => void): number => {
    const started = process.cpuUsage();
    run();
    const { user, system } = process.cpuUsage(started);
    return ((user + system) * 1_000) / leaves;
  };
  let checksum = 0;
  const inputNs = timed(() =>
    forEachLeaf(0, (device, path, value) => {
      checksum +=
        encodeTypedValue({ kind: 'uint', value }).length + slotOf(device, slots) + `openconfig:${path}`.length;
    }),
  );
  if (checksum === 0) throw new Error('nothing was made');
  fillNursery();
  const before = await residentBytes();
  const insertNs = timed(() => variant.fill(0));
  const bytesPerLeaf = ((await residentBytes()) - before) / leaves;
  variant.fill(1);
  const updateNs = timed(() => variant.fill(2));
  const firstStarted = process.hrtime.bigint();
  const hits = variant.count();
  const firstCountNs = Number(process.hrtime.bigint() - firstStarted);
  const countAnewNs = await nsOf(() => variant.countAnew());
  const countNs = await nsOf(() => variant.count());
  const answerNs = await nsOf(() => variant.answer());
  const text = (await variant.answer()).replace(/"ageMs":\d+/g, '');
  return { bytesPerLeaf, insertNs, updateNs, inputNs, firstCountNs, countAnewNs, countNs, answerNs, hits, text };
}

const variants = { plain: plainStore, typed: typedStore };

function run(variant: string): Figures {
  const file = fileURLToPath(import.meta.url);
  const options = { encoding: 'utf8', maxBuffer: 1 << 28 } as const;
  const output = execFileSync(process.execPath, [...process.execArgv, '--expose-gc', file, `--${variant}`], options);
  return JSON.parse(output) as Figures;
}

const ms = (ns: number): string => (ns / 1e6).toFixed(ns < 1e6 ? 4 : 2);
const middle = (values: number[]): number => values.sort((a, b) => a - b)[values.length >>> 1] ?? 0;

async function main(): Promise<void> {
  const [argument = '3'] = process.argv.slice(2);
  if (argument === '--plain' || argument === '--typed') {
    console.log(JSON.stringify(await measure(variants[argument === '--plain' ? 'plain' : 'typed']())));
    return;
  }
  const runs = Array.from({ length: Number(argument) }, () => ({ plain: run('plain'), typed: run('typed') }));
  for (const { plain, typed } of runs) {
    if (plain.hits !== typed.hits) throw new Error(`${plain.hits} hits and ${typed.hits}`);
    if (plain.text !== typed.text) throw new Error('the two answers differ');
  }
  console.log(
    `${deviceTotal} devices × ${leavesPerDevice} leaves, ${runs[0]?.typed.hits ?? 0} hits of ${asked}; medians of ${runs.length} turns`,
  );
  const rows: [string, (figures: Figures) => number, (value: number) => string][] = [
    ['bytes a leaf', (f) => f.bytesPerLeaf, (v) => v.toFixed(1)],
    ['insert, ns', (f) => f.insertNs - f.inputNs, (v) => v.toFixed(0)],
    ['update, ns', (f) => f.updateNs - f.inputNs, (v) => v.toFixed(0)],
    ['making the input, ns', (f) => f.inputNs, (v) => v.toFixed(0)],
    ['match and count, code not compiled, ms', (f) => f.firstCountNs, ms],
    ['match and count, another pattern, ms', (f) => f.countAnewNs, ms],
    ['match and count, ms', (f) => f.countNs, ms],
    [`answer with ${limit} leaves, ms`, (f) => f.answerNs, ms],
  ];
  for (const [name, pick, show] of rows) {
    const plain = middle(runs.map((one) => pick(one.plain)));
    const typed = middle(runs.map((one) => pick(one.typed)));
    console.log(
      `${name.padEnd(38)} plain ${show(plain).padStart(10)}   typed ${show(typed).padStart(10)}   ratio ${(plain / typed).toFixed(1)}`,
    );
  }
}

await main();
