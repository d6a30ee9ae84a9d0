import { describe, expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import { type LogRecord } from '../../core/kafka/log-reader.ts';
import { silentLogger } from '../../core/logger.ts';
import { createMetrics } from '../../core/metrics.ts';
import { createQueryApiMetrics } from '../../query-api/metrics.ts';
import { Replays } from '../../query-api/replays.ts';
import { SlotReplay } from '../../query-api/slot-replay.ts';
import { StateCopy } from '../../query-api/state-copy.ts';
import { type Covers, type LeafChange, type Replay, type StateListener } from '../../query-api/state-feed.ts';
import { encodeFrame } from '../../schemas/frame.ts';
import { leafCodec } from '../../schemas/leaf.ts';
import { emptyMarker, markerCodec } from '../../schemas/marker.ts';
import { encodeHeader, formatPosition, type Position } from '../../schemas/position.ts';
import { encodeTypedValue } from '../../schemas/value.ts';
import { FakeClock } from '../support/fake-clock.ts';

const slot = 1;
const windowMs = 60_000;
const { signal } = new AbortController();

interface Said {
  readonly key: string;
  readonly epoch: number;
  readonly seq: number;
  readonly more: boolean;
  /** null: a tombstone; undefined: the marker. */
  readonly value: number | null | undefined;
}

/** One slot's log, the copy that follows it, and replays out of it; a read brings `batchesAtOnce` batches. */
function createLog(batchesAtOnce: number) {
  const clock = new FakeClock();
  const gauges = { leaves: () => 0, stalenessMs: () => 0, slotsCaughtUp: () => 0 };
  const metrics = createQueryApiMetrics(createMetrics(), gauges);
  const copy = new StateCopy({ slots: 2, resumeWindowMs: windowMs, clock, logger: silentLogger, metrics });
  copy.loaded(slot);
  const batches: { records: LogRecord[]; nextOffset: bigint }[] = [];
  let nextOffset = 100n;
  const recordOf = ({ key, epoch, seq, more, value }: Said): LogRecord => {
    const at = { slot, epoch: BigInt(epoch), seq: BigInt(seq), receivedAtNs: 1n, rpc: 0, more };
    const header = encodeHeader({ ...at, kind: value === undefined ? 'owner' : 'data' });
    const leaf = { device: 'd', origin: 'o', path: key, timestampNs: 3n, atomicRoot: '', sampled: false };
    const said =
      value === undefined
        ? encodeFrame(8, markerCodec.encode(emptyMarker('owner')))
        : value === null
          ? null
          : encodeFrame(7, leafCodec.encode({ ...leaf, value: encodeTypedValue({ kind: 'uint', value: BigInt(value) }) })); // prettier-ignore
    const text = value === undefined ? '|slot' : `d|o:${key}`;
    return { offset: nextOffset++, timestampMs: clock.nowMs(), key: Buffer.from(text), value: said, header };
  };
  const append = (said: readonly Said[]): void => {
    batches.push({ records: said.map(recordOf), nextOffset });
  };
  let applied = 0;
  /** The copy reads what was appended, several batches as one or each by itself. */
  const follow = (together = false): void => {
    const fresh = batches.slice(applied);
    applied = batches.length;
    const groups = together ? [fresh] : fresh.map((batch) => [batch]);
    for (const group of groups) {
      const end = group.at(-1)?.nextOffset;
      if (end === undefined) continue;
      const records = group.flatMap((batch) => batch.records);
      copy.apply({ partition: slot, records, nextOffset: end, highWatermark: end });
    }
  };
  const read = async (_slot: number, from: bigint) => {
    const first = batches.findIndex((batch) => batch.nextOffset > from);
    if (first === -1) throw new Error(`nothing at ${from}`);
    const found = batches.slice(first, first + batchesAtOnce);
    const records = found.flatMap((batch) => batch.records.filter(({ offset }) => offset >= from));
    return { records, nextOffset: found.at(-1)!.nextOffset };
  };
  const place = (of: number) => copy.place(of);
  const replays = new Replays({ place, names: copy.store, log: { read }, windowMs: () => windowMs, clock });
  const startUnknown = (after: Position) =>
    new Replays({ place, names: copy.store, log: { read }, windowMs: () => null, clock }).start(after);
  return { clock, copy, append, follow, replays, read, startUnknown };
}

/** Listens, goes away and comes back at its cursor; notes all it hears. */
class Reader {
  readonly heard: string[] = [];
  cursor: Position | null = null;
  readonly #log: ReturnType<typeof createLog>;
  #leave: (() => void) | null = null;
  #replay: Replay | null = null;

  constructor(log: ReturnType<typeof createLog>) {
    this.#log = log;
  }

  get isLive(): boolean {
    return this.#leave !== null;
  }

  listen(): void {
    const listener: StateListener = {
      onChanges: (_slot, changes, through) => this.#hear(changes, through),
      onReset: () => this.heard.push('reset'),
    };
    this.#leave = this.#log.copy.listen(listener, [slot]);
  }

  goAway(): void {
    this.#leave?.();
    this.#leave = null;
    this.#replay = null;
  }

  comeBack(): void {
    if (this.cursor === null) {
      this.listen();
      return;
    }
    const start = this.#log.replays.start(this.cursor);
    if (start.kind !== 'replay') throw new Error(`${formatPosition(this.cursor)} is ${start.kind}`);
    this.#replay = start.replay;
  }

  async step(): Promise<void> {
    const batch = await this.#replay?.next(signal, () => this.listen());
    if (batch === null) this.#replay = null;
    else if (batch !== undefined) this.#hear(batch.changes, batch.through);
  }

  async catchUp(): Promise<void> {
    while (this.#replay !== null) await this.step();
  }

  #hear(changes: readonly LeafChange[], through: Position): void {
    for (const { epoch, seq, key, leaf } of changes)
      this.heard.push(`${epoch}:${seq} ${key} ${leaf?.value.toString('hex')}`);
    this.cursor = through;
  }
}

type Step =
  | { do: 'position'; keys: number[]; epochs: number; cutAfter: number | null }
  | { do: 'again'; which: number }
  | { do: 'marker' | 'goAway' | 'comeBack' | 'step' }
  | { do: 'follow'; together: boolean };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('position' as const), keys: fc.array(fc.nat({ max: 4 }), { minLength: 1, maxLength: 4 }), epochs: fc.constantFrom(0, 0, 0, 3), cutAfter: fc.option(fc.integer({ min: 1, max: 3 })) }) }, // prettier-ignore
  { weight: 2, arbitrary: fc.record({ do: fc.constant('again' as const), which: fc.nat() }) }, // prettier-ignore
  { weight: 5, arbitrary: fc.record({ do: fc.constantFrom('marker' as const, 'goAway' as const, 'comeBack' as const, 'step' as const, 'step' as const) }) }, // prettier-ignore
  { weight: 4, arbitrary: fc.record({ do: fc.constant('follow' as const), together: fc.boolean() }) },
);

/** A reader that comes and goes beside one that stays. */
async function play(steps: readonly Step[], batchesAtOnce: number) {
  const log = createLog(batchesAtOnce);
  const stays = new Reader(log);
  const comesAndGoes = new Reader(log);
  stays.listen();
  comesAndGoes.listen();
  const written: Said[] = [];
  let at = { epoch: 1, seq: 0 };
  let value = 0;
  const live = new Set<string>();
  const write = (said: readonly Said[]) => {
    written.push(...said);
    for (const one of said) live[one.value === null ? 'delete' : 'add'](one.key);
    log.append(said);
  };
  const marker = () => log.append([{ ...at, key: '', more: false, value: undefined }]);
  marker(); // the first position
  log.follow();
  for (const one of steps) {
    if (one.do === 'position') {
      at = one.epochs > 0 ? { epoch: at.epoch + one.epochs, seq: 1 } : { ...at, seq: at.seq + 1 };
      const keys = [...new Set(one.keys)];
      const cut = one.cutAfter === null ? keys.length : one.cutAfter;
      const said = keys.map((key, n) => {
        value += 1;
        return {
          ...at,
          key: `/k${key}`,
          more: n < cut && cut < keys.length,
          value: value % 3 === 0 && live.has(`/k${key}`) ? null : value,
        };
      });
      if (cut >= keys.length) write(said);
      else {
        write(said.slice(0, cut));
        if (value % 2 === 0) marker();
        if (value % 3 === 0) log.follow();
        if (value % 7 > 0) write(said.slice(cut)); // else its writer ended there
      }
    } else if (one.do === 'again') {
      const again = written[one.which % Math.max(written.length, 1)];
      if (again !== undefined) log.append([again]);
    } else if (one.do === 'marker') {
      await log.clock.advance(1_000);
      marker();
    } else if (one.do === 'follow') log.follow(one.together);
    else if (one.do === 'step') await comesAndGoes.step();
    else if (one.do === 'goAway') comesAndGoes.goAway();
    else if (!comesAndGoes.isLive) comesAndGoes.comeBack();
  }
  log.follow();
  if (!comesAndGoes.isLive) comesAndGoes.comeBack();
  await comesAndGoes.catchUp();
  return { stays, comesAndGoes };
}

describe('replay', () => {
  test('P1, P2, P3: who comes and goes hears every change once and in order, as who stays does', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 80 }), fc.integer({ min: 1, max: 5 }), async (steps, atOnce) => {
        const { stays, comesAndGoes } = await play(steps, atOnce);
        expect(comesAndGoes.heard).toEqual(stays.heard);
        expect(comesAndGoes.cursor).toEqual(stays.cursor);
      }),
      { numRuns: 300 },
    );
  }, 60_000);
});

const position = (seq: number, epoch = 1): Position => ({ slot, epoch: BigInt(epoch), seq: BigInt(seq) });
const leaf = (seq: number, epoch = 1): Said => ({ key: '/a', epoch, seq, more: false, value: seq });

test('where there is nothing to read yet, nothing any more, or never was, the start says which', async () => {
  const log = createLog(1);
  expect(log.replays.start(position(1))).toEqual({ kind: 'ahead' });
  log.append([leaf(5)]);
  log.follow();
  await log.clock.advance(1_000);
  log.append([leaf(7), leaf(1, 3)]);
  log.follow();
  expect(log.replays.start(position(5)).kind).toBe('replay');
  expect(log.replays.start(position(6)).kind).toBe('replay');
  expect(log.replays.start(position(1, 3)).kind).toBe('replay');
  expect(log.replays.start(position(2, 3))).toEqual({ kind: 'ahead' });
  expect(log.replays.start(position(1, 9))).toEqual({ kind: 'ahead' });
  expect(log.replays.start(position(8)).kind).toBe('unknown');
  expect(log.replays.start(position(1, 2)).kind).toBe('unknown');
  expect(log.replays.start(position(4)).kind).toBe('expired');
  expect(log.replays.start({ ...position(1), slot: 0 })).toEqual({ kind: 'ahead' });
});

test('P4, Y1: a position is expired a margin before the log may be compacted, but not while its slot is idle', async () => {
  const log = createLog(1);
  log.append([leaf(1)]);
  log.follow();
  await log.clock.advance(windowMs / 2);
  log.append([leaf(2)]);
  log.follow();
  await log.clock.advance(windowMs * 0.3);
  expect(log.replays.start(position(1)).kind).toBe('replay');
  await log.clock.advance(windowMs * 0.11);
  expect(log.replays.start(position(1)).kind).toBe('expired');
  for (let n = 0; n < 10; n += 1) {
    await log.clock.advance(windowMs / 3);
    log.append([{ ...leaf(2), key: '', value: undefined }]); // its replicator is alive and has nothing to say
    log.follow();
  }
  expect(log.replays.start(position(2)).kind).toBe('replay');
});

test('P4: a reader that is slower than the log does not go on as if it had seen everything', async () => {
  const log = createLog(1);
  for (let seq = 1; seq <= 3; seq += 1) {
    log.append([leaf(seq)]);
    await log.clock.advance(100);
  }
  log.follow();
  const start = log.replays.start(position(1));
  if (start.kind !== 'replay') throw new Error(start.kind);
  expect((await start.replay.next(signal, () => undefined))?.through).toEqual(position(2));
  await log.clock.advance(windowMs);
  await expect(start.replay.next(signal, () => undefined)).rejects.toMatchObject({ code: 'NOT_CAUGHT_UP' });
});

test('a replay ends when the slot is read anew, and when nobody wants it any more', async () => {
  const log = createLog(1);
  log.append([leaf(1)]);
  log.append([leaf(2)]);
  log.follow();
  const start = log.replays.start(position(1));
  if (start.kind !== 'replay') throw new Error(start.kind);
  const gone = new AbortController();
  gone.abort(new Error('the client has gone'));
  await expect(start.replay.next(gone.signal, () => undefined)).rejects.toThrow('the client has gone');
  log.copy.reset(slot);
  await expect(start.replay.next(signal, () => undefined)).rejects.toMatchObject({ code: 'NOT_CAUGHT_UP' });
});

test('P5: of a position of which more follows only what is covered is held, and that is bounded', async () => {
  const log = createLog(1);
  log.append([leaf(1)]);
  for (let n = 0; n < 30; n += 1) log.append([{ key: `/k${n}`, epoch: 1, seq: 2, more: n < 29, value: n }]);
  log.follow();
  const place = { ...log.copy.place(slot)!, from: { ...position(1), nextOffset: 100n, logTimeMs: log.clock.nowMs() } };
  const told = async (covers: Covers): Promise<string[]> => {
    const replay = new SlotReplay({
      after: position(1),
      from: place.from,
      log: { read: log.read },
      names: log.copy.store,
      covers,
      copiedTo: () => place.nextOffset,
      reachMs: () => windowMs,
      clock: log.clock,
      heldMax: 5,
    });
    const batch = await replay.next(signal, () => undefined);
    expect(batch?.through).toEqual(position(2));
    return batch?.changes.map(({ key }) => key) ?? [];
  };
  expect(await told(({ key }) => /k.?7$/.test(key))).toEqual(['o:/k7', 'o:/k17', 'o:/k27']);
  await expect(told(() => true)).rejects.toMatchObject({ code: 'NOT_CAUGHT_UP' });
});

test('Y1: while nobody knows how long the log keeps every value, no position is certain to be whole', () => {
  const log = createLog(1);
  log.append([leaf(1)]);
  log.follow();
  expect(log.replays.start(position(1)).kind).toBe('replay');
  expect(log.startUnknown(position(1)).kind).toBe('expired');
});
