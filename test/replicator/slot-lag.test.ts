import { type LagFacts, SlotLag } from '../../replicator/slot-lag.ts';

const nowMs = 1_795_246_383_702;
const ago = (ms: number) => BigInt(nowMs - ms) * 1_000_000n;
const facts = (given: Partial<LagFacts>): LagFacts => ({
  lagRecords: 0n,
  answeredAtMonotonicMs: 50_000,
  lastReceivedAtNs: 0n,
  monotonicMs: 50_000,
  nowMs,
  ...given,
});

describe('lag of a slot', () => {
  test.each<[string, number | null, Partial<LagFacts>, number | null]>([
    ['nothing new in telemetry: as old as the last answer, which a poll may be', null, { monotonicMs: 51_000 }, 0],
    ['nothing new, and hours since the last record', null, { lastReceivedAtNs: ago(7_200_000) }, 0],
    ['G2 Kafka is away: it grows with the silence', null, { monotonicMs: 58_000.4 }, 8_000],
    ['G2 never answered: nobody can say', null, { answeredAtMonotonicMs: null }, null],
    ['behind, nothing applied yet: nobody can say', null, { lagRecords: 9n }, null],
    ['behind: as old as what was applied last', null, { lagRecords: 9n, lastReceivedAtNs: ago(4_000) }, 4_000],
    ['G1 behind after hours of quiet: no more than since the end was seen', 49_800, { lagRecords: 1n, lastReceivedAtNs: ago(7_200_000) }, 200],
    ['G1 behind for long, but what is applied is fresh', 10_000, { lagRecords: 9n, lastReceivedAtNs: ago(300) }, 300],
    ['Kafka is away while behind: it grows by the clock', 49_000, { lagRecords: 9n, monotonicMs: 79_000, nowMs: nowMs + 30_000, lastReceivedAtNs: ago(900) }, 30_000],
    ['the clock of ingest is ahead of ours: not below 0', null, { lagRecords: 9n, lastReceivedAtNs: ago(-5_000) }, 0],
  ])('%s', (_what, atEndMonotonicMs, given, expected) => {
    const lag = new SlotLag();
    if (atEndMonotonicMs !== null) lag.atEnd(atEndMonotonicMs);
    expect(lag.lagMs(facts(given))).toBe(expected);
  }); // prettier-ignore

  test('the end of the log is remembered from an answer that brought nothing', () => {
    const lag = new SlotLag();
    lag.lagMs(facts({}));
    expect(lag.lagMs(facts({ lagRecords: 5n, monotonicMs: 50_700 }))).toBe(700);
  });
});
