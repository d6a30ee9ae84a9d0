import { describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { environmentName, flagName, loadSettings, readSecret, readSettingsFile, setting } from '../../core/config.ts';
import { HoldfastError } from '../../core/errors.ts';

const settings = {
  kafkaBrokers: setting.list([], 'brokers'),
  slots: setting.integer(64, { min: 1, max: 1024 }, 'slots, 1 to 1024'),
  createTopics: setting.boolean(true, 'create topics'),
  compression: setting.choice(['auto', 'lz4'], 'auto', 'codec'),
  httpListen: setting.listen(':8080', 'host:port'),
  kafkaSaslPassword: setting.secret('password'),
};
const none = { flags: {}, env: {}, knownElsewhere: new Set<string>() };

const failure = (run: () => unknown): HoldfastError => {
  try {
    run();
  } catch (thrown) {
    if (thrown instanceof HoldfastError) return thrown;
    throw thrown;
  }
  throw new Error('did not throw');
};

describe('settings', () => {
  test('one name in three spellings', () => {
    expect(environmentName('kafkaTlsCa')).toBe('HOLDFAST_KAFKA_TLS_CA');
    expect(flagName('kafkaTlsCa')).toBe('--kafka-tls-ca');
  });

  test('flag over environment over file over default, each with its source', () => {
    const { values, sources } = loadSettings(settings, {
      ...none,
      flags: { slots: '8' },
      env: { HOLDFAST_SLOTS: '16', HOLDFAST_KAFKA_BROKERS: 'a:1, b:2', PATH: '/bin' },
      file: { path: 'x.yaml', values: { slots: 32, compression: 'lz4' } },
    });
    expect(values).toMatchObject({ slots: 8, kafkaBrokers: ['a:1', 'b:2'], compression: 'lz4', createTopics: true });
    expect(sources).toMatchObject({
      slots: 'flag',
      kafkaBrokers: 'environment',
      compression: 'file',
      createTopics: 'default',
    });
  });

  test('every problem is in one error: unknown names with the nearest one, wrong types and ranges', () => {
    const error = failure(() =>
      loadSettings(settings, {
        ...none,
        flags: { slots: 'many' },
        env: { HOLDFAST_SLTS: '16', HOLDFAST_CREATE_TOPICS: 'maybe' },
        file: { path: 'x.yaml', values: { httpListen: 'nowhere', colour: 'red' } },
      }),
    );
    expect(error.code).toBe('SETTING_INVALID');
    expect(error.facts['problems']).toHaveLength(5);
    expect(error.message).toContain('HOLDFAST_SLTS is not a setting; did you mean HOLDFAST_SLOTS?');
    expect(error.message).toContain('colour in x.yaml is not a setting');
    expect(error.message).toContain('--slots');
  });

  test('a name that another part knows is no mistake', () => {
    const load = (knownElsewhere: Set<string>) => () =>
      loadSettings(settings, { ...none, env: { HOLDFAST_ZONE: 'a' }, knownElsewhere });
    expect(load(new Set(['zone']))).not.toThrow();
    expect(failure(load(new Set())).code).toBe('SETTING_UNKNOWN');
  });

  test('a literal secret is refused and not repeated', () => {
    const error = failure(() => loadSettings(settings, { ...none, env: { HOLDFAST_KAFKA_SASL_PASSWORD: 'hunter2' } }));
    expect(error.message).toContain('file:PATH or env:NAME');
    expect(error.message).not.toContain('hunter2');
  });
});

describe('files and secrets', () => {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-config-'));
  const file = (name: string, text: string): string => {
    const path = join(dir, name);
    writeFileSync(path, text);
    return path;
  };

  test('a settings file must be a mapping', () => {
    expect(readSettingsFile(file('a.yaml', 'slots: 8')).values).toEqual({ slots: 8 });
    expect(readSettingsFile(file('empty.yaml', '')).values).toEqual({});
    expect(failure(() => readSettingsFile(file('b.yaml', '- 1'))).code).toBe('SETTING_INVALID');
    expect(failure(() => readSettingsFile(join(dir, 'missing.yaml'))).message).toContain('missing.yaml');
  });

  test('a secret file loses one final newline, is read anew, and its absence names the file', () => {
    const path = file('secret', 'first\n\n');
    expect(readSecret(`file:${path}`, {})).toBe('first\n');
    writeFileSync(path, 'second');
    expect(readSecret(`file:${path}`, {})).toBe('second');
    expect(readSecret('env:TOKEN', { TOKEN: 't' })).toBe('t');
    expect(failure(() => readSecret('env:TOKEN', {})).code).toBe('CREDENTIALS_INVALID');
    expect(failure(() => readSecret(`file:${dir}/none`, {})).message).toContain(`${dir}/none`);
    rmSync(dir, { recursive: true });
  });
});
