/**
 * Control runs: with a feature switched off the tests that stand for it must fail, or they prove nothing.
 */
import fc from '../support/properties.ts';
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

test('C3 if a window could be torn, a successor would end in another state, and the property of slot-reducer.test notices', () => {
  // A plain update makes the atomic group /a no longer whole; it is left out of the torn window, and the delete behind it
  // then takes the whole group.
  const log = new TelemetryLog()
    .open('leaf-1', ['/a/n'], { mode: 'sample' })
    .say('leaf-1', { at: 1, prefix: '/a', updates: [['/x', 1], ['/y', 1]], atomic: true })
    .say('leaf-1', { at: 2, updates: [['/a/n', 1]] })
    .say('leaf-1', { at: 3, updates: [['/b', 1]] })
    .say('leaf-1', { at: 4, deletes: ['/a/x'] })
    .say('leaf-1', { at: 5, updates: [['/a/n', 2]] }); // prettier-ignore
  const endsWith = (isTorn: boolean) => {
    const state = new StateLog();
    const life = replicatorOn(state, { windowRecords: 100 });
    life.apply(log.records.slice(0, 2));
    life.settle();
    life.apply(log.records.slice(2));
    life.settle();
    const [atomic, window] = state.batches as [(typeof state.batches)[0], (typeof state.batches)[0]];
    state.batches.splice(0, 2, atomic, ...(isTorn ? [window.slice(0, 1)] : []));
    replicatorOn(state).apply(log.records.slice(isTorn ? 3 : 2));
    return leavesOf(state.read());
  };
  expect(endsWith(false)).toEqual(referenceState(log.records));
  expect(endsWith(true)).not.toEqual(referenceState(log.records));
});
