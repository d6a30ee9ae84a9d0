/**
 * Every scenario of test/conformance/, on one stack of real parts. docs/conformance.md is what this suite says of itself:
 * `npm run conformance` writes it, every other run compares.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatDocument } from '../conformance/document.ts';
import { type Outcome, playAll } from '../conformance/scenario.ts';
import { scenarios } from '../conformance/scenarios.ts';
import { ConformanceStage } from '../conformance/stage.ts';
import { hasTestKafka, testKafka } from '../support/kafka.ts';
import { repositoryRoot } from '../support/repository-root.ts';

const atOnce = 8;
const file = join(repositoryRoot, 'docs', 'conformance.md');
const only = process.env['TEST_SCENARIO'];
const played = scenarios.filter(({ id }) => only === undefined || id.includes(only));

(hasTestKafka ? describe : describe.skip)('gNMI conformance', () => {
  const stage = new ConformanceStage(testKafka());
  let outcomes: readonly Outcome[] = [];
  const startedMs = performance.now();

  beforeAll(async () => {
    await stage.start();
    outcomes = await playAll(played, stage, atOnce);
  }, 300_000);

  afterAll(async () => {
    await stage.stop();
    const slow = [...outcomes].sort((a, b) => b.tookMs - a.tookMs).slice(0, 3);
    process.stdout.write(
      `${outcomes.length} scenarios in ${Math.round((performance.now() - startedMs) / 1_000)} s, the slowest ` +
        `${slow.map(({ scenario, tookMs }) => `${scenario.id} ${Math.round(tookMs)} ms`).join(', ')}\n`,
    );
  }, 60_000);

  test.each(played.map(({ id, title }, index) => ({ id, title, index })))('$id: $title', ({ index }) => {
    const { failure } = outcomes[index] as Outcome;
    // eslint-disable-next-line @typescript-eslint/only-throw-error -- as the scenario threw it, for its text and stack
    if (failure !== null) throw failure;
  });

  (only === undefined ? test : test.skip)(
    'docs/conformance.md lists exactly the scenarios that ran, all of them green',
    () => {
      const text = formatDocument(outcomes);
      if (process.env['TEST_WRITE_CONFORMANCE'] === '1') writeFileSync(file, text);
      expect(readFileSync(file, 'utf8')).toBe(text);
    },
  );
});
