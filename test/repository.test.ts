/** Documents and source hold each other true, in both directions. */
import { describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { allSettings } from '../cli/services.ts';
import { environmentName } from '../core/config.ts';
import { errorCodes } from '../core/errors.ts';
import { topicCatalogue } from '../schemas/topics.ts';
import { faults } from './simulation/faults.ts';
import { mutations } from './simulation/mutations.ts';
import { allMetrics } from './support/all-metrics.ts';
import { repositoryRoot } from './support/repository-root.ts';

const read = (file: string): string => readFileSync(join(repositoryRoot, file), 'utf8');
/** What git tracks or would: nothing generated. */
const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { cwd: repositoryRoot })
  .toString()
  .split('\n')
  .filter((file) => file !== '' && existsSync(join(repositoryRoot, file)));
const product = ['schemas', 'core', 'ingest', 'replicator', 'query-api', 'simulator', 'cli'];
const sources = files.filter((file) => file.endsWith('.ts') && product.includes(file.split('/')[0] ?? ''));
const documents = files.filter((file) => file.endsWith('.md'));

const codesIn = (text: string): Set<string> =>
  new Set([...text.matchAll(/^\| `([A-Z_]+)`\s*\|/gm)].map((match) => match[1] ?? ''));

describe('documents', () => {
  test('docs/errors.md has exactly the codes of the source', () => {
    expect([...codesIn(read('docs/errors.md'))].sort()).toEqual([...errorCodes].sort());
  });

  test('docs/configuration.md has exactly the settings of the source', () => {
    const named = [...read('docs/configuration.md').matchAll(/^\| `(HOLDFAST_[A-Z0-9_]+)`\s*\|/gm)].map(
      (match) => match[1],
    );
    expect(named.sort()).toEqual(Object.keys(allSettings).map(environmentName).sort());
  });

  test('docs/metrics.md has exactly the metrics of the source', () => {
    const inDocument = [...read('docs/metrics.md').matchAll(/^\| `(holdfast_[a-z0-9_]+)`\s*\|/gm)].map(
      (match) => match[1],
    );
    expect(inDocument.sort()).toEqual(
      allMetrics()
        .map(({ name }) => name)
        .sort(),
    );
  });

  test('schemas/README.md names every topic', () => {
    for (const { name } of topicCatalogue) expect(read('schemas/README.md')).toContain(`\`${name}\``);
  });

  test.each(documents)('%s has one first-level heading and no dead relative link', (file) => {
    const text = read(file).replace(/```[\s\S]*?```/g, '');
    expect(text.match(/^# /gm) ?? []).toHaveLength(1);
    for (const [, target = ''] of text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)) {
      expect({ target, exists: existsSync(resolve(repositoryRoot, dirname(file), target)) }).toEqual({
        target,
        exists: true,
      });
    }
  });

  test('every S row of the README that claims something names a test that exists', () => {
    const rows = [...read('README.md').matchAll(/^\| (S\d+)\s*\|.*$/gm)];
    expect(rows.map((row) => row[1])).toEqual(Array.from({ length: 17 }, (_, index) => `S${index + 1}`));
    for (const [row] of rows) {
      if (/\| not yet\s*\|/.test(row)) continue;
      const [, test = ''] = /`(test\/[^`]+)`/.exec(row) ?? [];
      expect({ row, exists: test !== '' && existsSync(join(repositoryRoot, test)) }).toEqual({ row, exists: true });
    }
  });

  test('decisions are numbered without a gap', () => {
    const numbers = files
      .filter((file) => file.startsWith('docs/decisions/'))
      .map((file) => Number(basename(file).slice(0, 4)));
    expect(numbers.sort((a, b) => a - b)).toEqual(numbers.map((_, index) => index + 1));
  });
});

describe('docs/invariants.md', () => {
  const text = read('docs/invariants.md');
  /** By heading, without it. */
  const parts = new Map(
    text
      .split(/^## /m)
      .slice(1)
      .map((part) => {
        const end = part.indexOf('\n');
        return [part.slice(0, end), part.slice(end)] as const;
      }),
  );
  const invariants = new Map(
    [...parts].flatMap(([heading, part]) => (/^O\d+(?=: )/.exec(heading) ?? []).map((id) => [id, part])),
  );
  const simulated = (): Set<string> =>
    new Set([...read('test/simulation/world.ts').matchAll(/#fail\('(O\d+)'/g)].map((match) => match[1] ?? ''));

  /** “…” is the name of a test, or of a table row that gives one its name, in the file named last before it. */
  const testsNamedIn = (part: string): { readonly file: string; readonly name: string }[] => {
    let file = '';
    const named: { file: string; name: string }[] = [];
    for (const [, path, name] of part.matchAll(/`(test\/[^`]+\.ts)`|“([^”]+)”/g)) {
      if (path !== undefined) file = path;
      else if (name !== undefined) named.push({ file, name });
    }
    return named;
  };

  test('holds O1 to O17, each with what enforces it and what shows it', () => {
    expect([...invariants.keys()]).toEqual(Array.from({ length: 17 }, (_, index) => `O${index + 1}`));
    for (const [id, part] of invariants) {
      for (const kind of ['enforced', 'simulation', 'real fault', 'control', 'known gaps'])
        expect({ id, kind, has: part.includes(`\n- ${kind}: `) }).toEqual({ id, kind, has: true });
      expect({ id, tests: testsNamedIn(part).length > 0 }).toEqual({ id, tests: true });
    }
  });

  test('every file and every test that it names exists under exactly that name', () => {
    for (const [, file = ''] of text.matchAll(/`((?:[a-z-]+\/)+[a-z-]+(?:\.test)?\.ts)`/g))
      expect({ file, exists: existsSync(join(repositoryRoot, file)) }).toEqual({ file, exists: true });
    for (const { file, name } of testsNamedIn(text)) {
      const source = file === '' ? '' : read(file);
      const exists = [`'${name}'`, `"${name}"`, `\`${name}\``].some((literal) => source.includes(literal));
      expect({ file, name, exists }).toEqual({ file, name, exists: true });
    }
  });

  test('every rule that it cites for a file is in that file', () => {
    for (const [, file = '', rules = ''] of text.matchAll(/`([a-z/-]+\.ts)` ((?:[A-Z]+-?\d+(?:, | to )?)+)/g)) {
      const source = read(file);
      for (const [rule] of rules.matchAll(/[A-Z]+-?\d+/g))
        expect({ file, rule, has: source.includes(` ${rule}. `) }).toEqual({ file, rule, has: true });
    }
  });

  test('the control runs are those of test/simulation/mutations.ts, with what each breaks', () => {
    const rows = [...(parts.get('Control runs') ?? '').matchAll(/^\| ([^|]+?) +\| (O[^|]+?) +\| (\w+) +\|$/gm)];
    expect(rows.map(([, name, breaks, of]) => ({ name, breaks, of }))).toEqual(
      mutations.map(({ name, breaks, edits }) => ({
        name,
        breaks: breaks.join(', '),
        of: edits.some(({ file }) => file.startsWith('test/')) ? 'model' : 'product',
      })),
    );
    for (const [id, part] of invariants) {
      const has = mutations.some(({ breaks }) => breaks.includes(id));
      expect({ id, has: part.includes(`\n- control: the rows of ${id}`) }).toEqual({ id, has });
    }
  });

  test('the simulation asserts what it is said to assert', () => {
    const said = [...invariants].filter(([, part]) => part.includes('\n- simulation: asserted')).map(([id]) => id);
    expect(said.sort()).toEqual([...simulated()].sort());
  });

  test('its gaps are the tests that are expected to fail', () => {
    const expected = files
      .filter((file) => file.startsWith('test/integration/'))
      .flatMap((file) =>
        [...read(file).matchAll(/test\.failing\('([^']+)'/g)].map(([, name = '']) => `${file} ${name}`),
      );
    const said = testsNamedIn(parts.get('Gaps') ?? '').map(({ file, name }) => `${file} ${name}`);
    expect(said.sort()).toEqual(expected.sort());
  });
});

describe('docs/testing.md', () => {
  test('names every fault of the simulation', () => {
    const [, part = ''] = read('docs/testing.md').split(/^In the simulation/m);
    const rows = part.slice(0, part.indexOf('On real brokers'));
    const named = [...rows.matchAll(/`([a-z-]+)`/g)].map(([, name]) => name);
    expect(named.sort()).toEqual(faults.map(({ name }) => name).sort());
  });
});

describe('source', () => {
  /** Product files without a unit test of their own, each with what tests it instead. */
  const exempt: Readonly<Record<string, string>> = JSON.parse(read('test/untested-files.json')) as Record<
    string,
    string
  >;

  test('every product file has its test, or a reason not to', () => {
    const without = sources.filter(
      (file) => !existsSync(join(repositoryRoot, 'test', file.replace(/\.ts$/, '.test.ts'))) && !file.endsWith('.d.ts'),
    );
    expect(without.filter((file) => exempt[file] === undefined)).toEqual([]);
    expect(Object.keys(exempt).filter((file) => !without.includes(file))).toEqual([]);
  });

  test('no tracked text names this project’s design folder or a package host', () => {
    const forbidden = [['..', 'shared'].join('/'), ['registry', 'npmjs', 'org'].join('.')];
    const texts = files.filter((file) => /\.(ts|md|json|ya?ml|mjs|cjs|js|xml|proto)$/.test(file));
    for (const file of texts) {
      const text = read(file);
      for (const word of forbidden) expect({ file, has: text.includes(word) }).toEqual({ file, has: false });
    }
  });
});

describe('deployment', () => {
  const compose = parseYaml(read('docker-compose.yml'), { merge: true }) as {
    services: Record<
      string,
      { image: string; command?: string[]; environment?: Record<string, string>; volumes?: string[] }
    >;
    volumes: Record<string, unknown>;
  };
  const ours = Object.entries(compose.services).filter(([, service]) => service.image.startsWith('holdfast:'));

  test('every setting named in docker-compose.yml exists', () => {
    const known = new Set([...Object.keys(allSettings).map(environmentName), 'NODE_OPTIONS']);
    for (const [, service] of ours) {
      for (const name of Object.keys(service.environment ?? {}))
        expect({ name, known: known.has(name) }).toEqual({ name, known: true });
      for (const flag of (service.command ?? []).filter((word) => word.startsWith('--') && word !== '--server')) {
        const name = flag.slice(2).replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
        expect({ flag, known: Object.hasOwn(allSettings, name) }).toEqual({ flag, known: true });
      }
    }
  });

  test('images and versions agree with the rest of the repository', () => {
    const { version, engines } = JSON.parse(read('package.json')) as { version: string; engines: { node: string } };
    const kafka = /<artifactId>kafka_2.13<\/artifactId>\s*<version>([^<]+)</.exec(read('pom.xml'))?.[1];
    expect(new Set(ours.map(([, service]) => service.image))).toEqual(new Set([`holdfast:${version}`]));
    for (const name of ['kafka-1', 'kafka-2', 'kafka-3'])
      expect(compose.services[name]?.image).toBe(`apache/kafka:${kafka}`);
    expect(compose.services['registry']?.image).toContain(':2.6.13.Final');
    expect(read('test/support/apicurio.ts')).toContain('2.6.13.Final');
    for (const [, image] of read('Dockerfile').matchAll(/^FROM (\S+)/gm)) expect(image).toMatch(/^node:20/);
    expect(engines.node).toBe('>=20.19');
  });

  test('every service restarts by rule, and every volume is declared', () => {
    for (const [name, service] of Object.entries(compose.services)) {
      expect({ name, restart: (service as { restart?: string }).restart }).toEqual({
        name,
        restart: expect.any(String),
      });
      for (const volume of service.volumes ?? []) expect(Object.keys(compose.volumes)).toContain(volume.split(':')[0]);
    }
    expect(Object.keys(compose.services).sort()).toEqual(
      [
        'fleet',
        'ingest-1',
        'ingest-2',
        'kafka-1',
        'kafka-2',
        'kafka-3',
        'query-api-1',
        'query-api-2',
        'registry',
        'replicator-1',
        'simulator',
      ].sort(),
    );
  });
});
