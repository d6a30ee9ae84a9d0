import { describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCli } from '../../cli/cli.ts';
import { systemClock } from '../../core/clock.ts';
import { repositoryRoot } from '../support/repository-root.ts';

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ran> {
  const out: string[] = [];
  const err: string[] = [];
  const code = await runCli(args, {
    env,
    clock: systemClock,
    random: { next: () => 0.5 },
    print: (line) => void out.push(line),
    printError: (line) => void err.push(line),
    isTerminal: false,
    installRoot: repositoryRoot,
    mainFile: join(repositoryRoot, 'cli', 'main.ts'),
    exitNow: () => {
      throw new Error('nothing here exits at once');
    },
  });
  return { code, out: out.join('\n'), err: err.join('\n') };
}

describe('usage', () => {
  test('--help names every command and is no failure', async () => {
    const { code, out } = await run(['--help']);
    expect(code).toBe(0);
    for (const command of [
      'dev',
      'ingest',
      'replicator',
      'query-api',
      'simulate',
      'devices',
      'profiles',
      'get',
      'ownership',
      'drain',
      'move',
      'topics',
      'config',
      'version',
    ]) {
      expect(out).toContain(`\n  ${command}`);
    }
  });

  test('version prints the one of package.json', async () => {
    expect((await run(['version'])).out).toMatch(/^\d+\.\d+\.\d+$/);
  });

  test.each([
    [['fly'], 'unknown command'],
    [['ingest', '--no-such-flag', '1'], 'unknown option'],
    [['dev', '--devices', 'many'], 'a whole number from 0 to 2000'],
    [['dev', '--brokers', '2'], '--brokers takes 1 or 3'],
  ])('%j is exit code 2 and says why', async (args, message) => {
    const { code, err } = await run(args);
    expect(code).toBe(2);
    expect(err).toContain(message);
  });
});

describe('settings', () => {
  test('all problems at once, exit code 2, the unknown name with the nearest', async () => {
    const { code, err } = await run(['config', 'check', '--slots', '0'], {
      HOLDFAST_SLTS: '8',
      HOLDFAST_COMPRESSION: 'zip',
    });
    expect(code).toBe(2);
    expect(err).toContain('did you mean HOLDFAST_SLOTS?');
    expect(err).toContain('--slots');
    expect(err).toContain('HOLDFAST_COMPRESSION');
  });

  test('show prints each with its source; a secret shows as its reference', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'holdfast-cli-'));
    writeFileSync(join(dir, 'holdfast.yaml'), 'zone: fra\n');
    const { code, out } = await run(
      ['config', 'show', '--json', '--config', join(dir, 'holdfast.yaml'), '--slots', '32'],
      {
        HOLDFAST_KAFKA_SASL_PASSWORD: 'env:KAFKA_PASSWORD',
        KAFKA_PASSWORD: 'hunter2',
      },
    );
    rmSync(dir, { recursive: true });
    const rows = JSON.parse(out) as { name: string; value: string; source: string }[];
    const row = (name: string): object | undefined => rows.find((one) => one.name === name);
    expect(code).toBe(0);
    expect(row('slots')).toMatchObject({ value: '32', source: 'flag' });
    expect(row('zone')).toMatchObject({ value: 'fra', source: 'file' });
    expect(row('kafkaSaslPassword')).toMatchObject({ value: 'env:KAFKA_PASSWORD', source: 'environment' });
    expect(row('replicationFactor')).toMatchObject({ value: '3', source: 'default' });
    expect(out).not.toContain('hunter2');
  });

  test('a part without brokers says which setting is missing', async () => {
    const { code, err } = await run(['ingest', '--log-level', 'silent']);
    expect(code).toBe(2);
    expect(err).toContain('HOLDFAST_KAFKA_BROKERS');
  });
});

test('a command that finds no server says how to start one', async () => {
  const { code, err } = await run(['devices', 'list', '--server', 'http://127.0.0.1:9']);
  expect(code).toBe(1);
  expect(err).toContain('npm start');
});
