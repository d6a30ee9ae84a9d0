import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodeCursor } from '../../schemas/cursor.ts';
import { cutSteps, play, readSteps, slotsOfDevices, writeLeaves } from './arbitrary-stream.ts';
import { StreamedLife } from './streamed-life.ts';
import { counts, readerState, storeState, tellingProblems } from './told-once.ts';

const limits = { maxQueuedLeaves: 6 };

test('devices of these tests lie in both slots', () => {
  expect(slotsOfDevices.size).toBe(2);
});

describe('random changes and a reader of any pace', () => {
  test('SS1–SS3: every on-change value once and in order, the store’s state in the end, and the counts add up', async () => {
    await fc.assert(
      fc.asyncProperty(readSteps, readSteps, async (before, steps) => {
        const life = new StreamedLife({ limits });
        for (const step of before) if (step.kind === 'write') writeLeaves(life, step);
        await life.connect();
        await play(life, steps);
        expect(tellingProblems(life)).toEqual([]);
        expect(readerState(life.events)).toEqual(storeState(life));
        const { produced, accounted } = counts(life);
        expect(accounted).toBe(produced);
        await life.cut();
        expect(life.clock.armed).toBe(0);
      }),
      { numRuns: 100 },
    );
  }, 60_000);

  test('SS1–SS4, SC1: the same over cuts, resumes and a log that loses its beginning; every id is a whole cursor', async () => {
    await fc.assert(
      fc.asyncProperty(cutSteps, async (steps) => {
        const life = new StreamedLife({ limits });
        await life.connect();
        await play(life, steps);
        expect(tellingProblems(life)).toEqual([]);
        expect(readerState(life.events)).toEqual(storeState(life));
        let isSynced = false;
        for (const { event, id, data } of life.events) {
          if (event === 'gap') isSynced = data['device'] !== null;
          if (event === 'synced') isSynced = true;
          if (isSynced) expect(decodeCursor(id ?? '').positions).toHaveLength(2);
        }
        await life.cut();
      }),
      { numRuns: 200 },
    );
  }, 60_000);
});
