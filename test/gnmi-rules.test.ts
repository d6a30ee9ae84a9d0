/** docs/gnmi-rules.md: every rule is there, is kept somewhere, and is cited by the test that it names. */
import { describe, expect, test } from '@jest/globals';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from './support/repository-root.ts';

const read = (file: string): string => readFileSync(join(repositoryRoot, file), 'utf8');

interface Rule {
  readonly id: string;
  readonly side: string;
  readonly keptIn: string;
  readonly shownBy: string;
}

const rules: readonly Rule[] = read('docs/gnmi-rules.md')
  .split('\n')
  .filter((line) => /^\| [A-Z]\d+ /.test(line))
  .map((line) => {
    const [, id = '', , side = '', keptIn = '', shownBy = ''] = line.split('|').map((cell) => cell.trim());
    return { id, side, keptIn: keptIn.replaceAll('`', ''), shownBy: shownBy.replaceAll('`', '') };
  });

/** How many rules each letter has; ids are given once and never reused. */
const counts = { T: 23, E: 10, V: 18, N: 18, P: 9, S: 15, M: 13, D: 12, A: 12, G: 7 };

describe('docs/gnmi-rules.md', () => {
  test('has every rule once, in order', () => {
    const expected = Object.entries(counts).flatMap(([letter, count]) =>
      Array.from({ length: count }, (_, index) => `${letter}${index + 1}`),
    );
    expect(rules.map(({ id }) => id)).toEqual(expected);
  });

  test.each(rules.map((rule) => [rule.id, rule] as const))('%s is kept in a file and cited by its test', (id, rule) => {
    const { side, keptIn, shownBy } = rule;
    expect(['client', 'data', 'server', 'outputs']).toContain(side);
    if (shownBy === 'not yet') {
      expect(side).toBe('server');
      return;
    }
    expect({ keptIn, exists: existsSync(join(repositoryRoot, keptIn)) }).toEqual({ keptIn, exists: true });
    expect(shownBy).toMatch(/^test\/.*\.ts$/);
    const isCited = new RegExp(`\\b${id}\\b`).test(read(shownBy));
    expect({ id, shownBy, isCited }).toEqual({ id, shownBy, isCited: true });
  });
});
