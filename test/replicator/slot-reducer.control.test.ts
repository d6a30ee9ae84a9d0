/**
 * Control runs: with a feature switched off the tests that stand for it must fail, or they prove nothing.
 */
import fc from 'fast-check';
import { referenceState } from './reference-model.ts';
import { arbitraryLog, leavesOf, replicatorOn } from './replicator-life.ts';
import { StateLog, TelemetryLog } from './telemetry-log.ts';

const runs = { numRuns: 1_500, seed: 1, endOnFailure: true };

/** What a second life on the same log writes. */
function writtenAgain(records: TelemetryLog['records'], resumes: boolean): number {
  const state = new StateLog();
  replicatorOn(state).apply(records);
  const batches = state.batches.length;
  replicatorOn(state, { resumes }).apply(records);
  return state.batches.length - batches;
}

const removedAndBack = new TelemetryLog()
  .say('leaf-1', { at: 1, updates: [['/a', 1]] })
  .marker('closed', 'leaf-1', { reason: 'removed' })
  .say('leaf-1', { at: 1, updates: [['/b', 1]] }).records;

test('without skipping what is applied a restart repeats itself, and the property of slot-reducer.test notices', () => {
  expect(writtenAgain(removedAndBack, true)).toBe(0);
  expect(writtenAgain(removedAndBack, false)).toBeGreaterThan(0);
  const property = fc.property(arbitraryLog, (records) => writtenAgain(records, false) === 0);
  expect(fc.check(property, runs).failed).toBe(true);
});

test('without the sweep a stale leaf stays after a resync, and the reference model notices', () => {
  const log = new TelemetryLog().say('leaf-1', { at: 1, updates: [['/a/b', 1], ['/a/d', 1]] }); // prettier-ignore
  log.open('leaf-1', ['/a']).say('leaf-1', { at: 2, updates: [['/a/b', 1]] }).marker('synced', 'leaf-1'); // prettier-ignore
  const pathsWith = (sweeps: boolean) => {
    const state = new StateLog();
    replicatorOn(state, { sweeps }).apply(log.records);
    return [...leavesOf(state.read()).keys()];
  };
  expect(pathsWith(true)).toEqual(['leaf-1|openconfig:/a/b']);
  expect(pathsWith(false)).toEqual(['leaf-1|openconfig:/a/b', 'leaf-1|openconfig:/a/d']);
  const property = fc.property(arbitraryLog, (records) => {
    const state = new StateLog();
    replicatorOn(state, { sweeps: false }).apply(records);
    expect(leavesOf(state.read())).toEqual(referenceState(records));
  });
  expect(fc.check(property, runs).failed).toBe(true);
});
