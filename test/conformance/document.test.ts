import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../support/repository-root.ts';
import { formatDocument } from './document.ts';
import { playAll, type Scenario, sideOf } from './scenario.ts';
import { scenarios } from './scenarios.ts';
import { type ConformanceStage } from './stage.ts';

const noStage = null as unknown as ConformanceStage;
const scenario = (id: string, run: () => Promise<void>): Scenario => ({
  id,
  title: `what ${id} says`,
  rules: 'S1',
  run,
});

describe('scenarios', () => {
  test('have ids of their own, a side, a title and rules', () => {
    expect(new Set(scenarios.map(({ id }) => id)).size).toBe(scenarios.length);
    for (const { id, title, rules } of scenarios) {
      expect(id).toMatch(/^(client|cache|server)\/[a-z0-9]+(-[a-z0-9]+)*$/);
      expect({ id, title }).toEqual({ id, title: expect.stringMatching(/^\S.*[^.\s]$/) });
      expect({ id, rules }).toEqual({ id, rules: expect.stringMatching(/^[A-Z]\d+( [A-Z]\d+)*$/) });
    }
  });

  test('one that throws is red, one that throws nothing in particular too, and the others are played', async () => {
    const outcomes = await playAll(
      [
        scenario('cache/good', () => Promise.resolve()),
        scenario('server/bad', () => Promise.reject(new Error('no'))),
        // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- what a scenario throws is its own affair
        scenario('server/odd', () => Promise.reject()),
        scenario('client/good', () => Promise.resolve()),
      ],
      noStage,
      2,
    );
    expect(outcomes.map(({ failure }) => failure === null)).toEqual([true, false, false, true]);
    const lines = formatDocument(outcomes).split('\n');
    expect(lines).toContain('2 of 4 scenarios are green.');
    expect(lines.filter((line) => line.includes('**red**'))).toEqual([
      expect.stringMatching(/^\| `server\/bad` \| what server\/bad says \| server \| S1 +\| \*\*red\*\* \|$/),
      expect.stringContaining('server/odd'),
    ]);
    expect(lines.filter((line) => line.startsWith('## ')).map((line) => line.split(':')[0])).toEqual([
      '## Client',
      '## Cache',
      '## Server',
    ]);
  });
});

describe('docs/conformance.md', () => {
  const rows = readFileSync(join(repositoryRoot, 'docs', 'conformance.md'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.split(/(?<!\\)\|/).map((cell) => cell.trim()));

  test('has a green line for each scenario, and no other', () => {
    const sides = ['client', 'cache', 'server'];
    const inOrder = sides.flatMap((side) => scenarios.filter((one) => sideOf(one) === side));
    expect(rows.map(([, id, title, side, rules, result]) => ({ id, title, side, rules, result }))).toEqual(
      inOrder.map((one) => ({
        id: `\`${one.id}\``,
        title: one.title.replaceAll('|', '\\|'),
        side: sideOf(one),
        rules: one.rules,
        result: 'green',
      })),
    );
  });
});
