import { expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import { type InstanceSlot } from '../../schemas/instance.ts';
import { comparePositions } from '../../schemas/position.ts';
import { concludeFrom, reportSlots } from '../../query-api/position-report.ts';
import { type SlotFreshness } from '../../query-api/slot-freshness.ts';
import { Sightings } from '../../query-api/sightings.ts';
import { SlotProgress } from '../../query-api/slot-progress.ts';
import { pushedClock } from './api-fixture.ts';

test('PR1: only slots that can be answered from are reported, with position and staleness', () => {
  const freshness: SlotFreshness[] = [
    { kind: 'absent' },
    { kind: 'incomplete', reason: 'still being read' },
    { kind: 'known', stalenessMs: 3.2 },
    { kind: 'estimated', stalenessMs: 70 },
  ];
  const complete = (slot: number) => (slot === 2 ? { slot, epoch: 5n, seq: 9n } : null);
  expect(reportSlots([0, 1, 2, 3], { freshness: (slot) => freshness[slot]!, complete })).toEqual([
    { slot: 2, epoch: 5n, seq: 9n, stalenessMs: 4 },
    { slot: 3, epoch: 0n, seq: 0n, stalenessMs: 70 },
  ]);
});

/** One instance that reports and one that concludes, on clocks of their own; time is pushed, so nothing waits. */
interface Run {
  /** ms between events, and what happens then. */
  readonly events: readonly { readonly ms: number; readonly marker: boolean; readonly records: number }[];
  /** ms that the n-th report takes to the reader; less than the second between two reports. */
  readonly flightMs: readonly number[];
}

function* lags(run: Run, ageOf: (sightings: Sightings) => number) {
  const clock = pushedClock();
  const startMs = clock.monotonicMs();
  const frozen = { ...clock, monotonicMs: () => startMs + nowMs };
  let nowMs = 0;
  const progress = new SlotProgress(0);
  const sightings = new Sightings(frozen);
  sightings.loaded();
  progress.loaded(0);
  progress.marker({ epoch: 1n, seq: 1n, lagMs: 5, writtenAtMs: 0 }, 0, true);
  progress.applied(0, true);
  let seq = 1n;
  let nextReportMs = 1_000;
  let seen: InstanceSlot | undefined;
  const flying: { readonly atMs: number; readonly report: InstanceSlot }[] = [];
  const view = {
    freshness: () => progress.freshness(nowMs, 0),
    complete: () => progress.complete,
  };
  for (const [n, event] of run.events.entries()) {
    const untilMs = nowMs + event.ms;
    for (; nowMs < untilMs; nowMs += 1) {
      if (nowMs === nextReportMs) {
        const arriveMs = nowMs + run.flightMs[n % run.flightMs.length]!;
        flying.push({ atMs: arriveMs, report: reportSlots([0], view)[0]! });
        nextReportMs = Math.max(nowMs + 1_000, arriveMs); // the next one is written when this one is durable
      }
      if (flying[0]?.atMs === nowMs) {
        seen = flying.shift()!.report;
        sightings.changed('peer', true);
      }
    }
    seq += BigInt(event.records);
    for (let record = 0; record < event.records; record += 1) progress.record(1n, seq - BigInt(record));
    if (event.marker) progress.marker({ epoch: 1n, seq, lagMs: 5, writtenAtMs: 0 }, nowMs, true);
    progress.applied(nowMs, true);
    if (seen === undefined) continue;
    const concluded = concludeFrom(seen, ageOf(sightings));
    const truth = view.freshness();
    if (truth.kind !== 'known') throw new Error('the run has live markers from its start');
    const behind = comparePositions({ slot: 0, ...concluded }, progress.complete!);
    yield { concludedMs: concluded.stalenessMs, trueMs: truth.stalenessMs, behind };
  }
}

const runs = fc.record({
  events: fc.array(
    fc.record({ ms: fc.integer({ min: 1, max: 700 }), marker: fc.boolean(), records: fc.integer({ min: 0, max: 3 }) }),
    { minLength: 8, maxLength: 30 },
  ),
  flightMs: fc.array(fc.integer({ min: 1, max: 999 }), { minLength: 1, maxLength: 6 }),
});

test('PR2: what is concluded from reports is never better than the truth, in time or position', () => {
  fc.assert(
    fc.property(runs, (run) => {
      for (const lag of lags(run, (sightings) => sightings.recordAgeMs('peer'))) {
        expect(lag.concludedMs).toBeGreaterThanOrEqual(lag.trueMs);
        expect(lag.behind).toBeLessThanOrEqual(0);
      }
    }),
    { numRuns: 200 },
  );
});

test('PR2, the control: counted from the sight of the report itself, its flight is left out and the truth is worse', () => {
  const run: Run = {
    events: Array.from({ length: 12 }, () => ({ ms: 500, marker: false, records: 0 })),
    flightMs: [400],
  };
  const naive = [...lags(run, (sightings) => sightings.seenMs('peer')!)];
  expect(naive.some((lag) => lag.concludedMs < lag.trueMs)).toBe(true);
});

test('PR2: with markers and reports every second the conclusion is at most two periods and a flight above the truth', () => {
  const events = Array.from({ length: 40 }, () => ({ ms: 250, marker: true, records: 1 }));
  for (const lag of [...lags({ events, flightMs: [20] }, (sightings) => sightings.recordAgeMs('peer'))].slice(12)) {
    expect(lag.concludedMs - lag.trueMs).toBeLessThanOrEqual(2_020 + 250);
  }
});
