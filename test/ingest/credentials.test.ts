import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readCredentials, readTlsMaterial } from '../../ingest/credentials.ts';

const env = { GOOD: 'correct horse', NEWLINE: 'first\nsecond', UMLAUT: 'pä-geheim', BLANK: ' padded', EMPTY: '' };
const withPassword = (password: string) => ({ tls: null, credentials: { username: 'telemetry', password } });
const messageOf = (attempt: () => unknown): string => {
  try {
    attempt();
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown);
  }
  return '';
};

test('T5: a good secret is revealed to the transport alone', () => {
  const credentials = readCredentials(withPassword('env:GOOD'), env);
  expect(credentials?.username).toBe('telemetry');
  expect(credentials?.password.reveal()).toBe('correct horse');
  expect(JSON.stringify(credentials)).not.toContain('horse');
});

test.each([
  ['NEWLINE', 'line end'],
  ['UMLAUT', 'printable ASCII'],
  ['BLANK', 'blank'],
  ['EMPTY', 'empty'],
])('T10 L9: the password of %s is refused by its field, and never quoted', (name, why) => {
  const message = messageOf(() => readCredentials(withPassword(`env:${name}`), env));
  expect(message).toContain('credentials.password');
  expect(message).toContain(why);
  const secret = env[name as keyof typeof env];
  for (const part of [secret, 'first', 'second', 'geheim', 'padded'].filter((text) => text !== ''))
    expect(message).not.toContain(part);
});

test('T9: a user without password, and a password without user, are errors, not anonymous calls', () => {
  expect(messageOf(() => readCredentials(withPassword(''), env))).toContain('credentials.password');
  const alone = { tls: null, credentials: { username: '', password: 'env:GOOD' } };
  expect(messageOf(() => readCredentials(alone, env))).toContain('credentials.username');
  expect(readCredentials({ tls: null, credentials: null }, env)).toBeNull();
});

test('a literal secret and a missing file are refused without the value', () => {
  expect(messageOf(() => readCredentials(withPassword('hunter2'), env))).not.toContain('hunter2');
  expect(messageOf(() => readCredentials(withPassword('file:/nowhere/secret'), env))).toContain('/nowhere/secret');
});

test('T4: files are read anew at every dial, one final newline cut', () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-credentials-'));
  try {
    const file = join(folder, 'password');
    writeFileSync(file, 'one\n');
    expect(readCredentials(withPassword(`file:${file}`), env)?.password.reveal()).toBe('one');
    writeFileSync(file, 'two\n');
    expect(readCredentials(withPassword(`file:${file}`), env)?.password.reveal()).toBe('two');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('certificate and key belong together; absent ones are null', () => {
  const tls = { ca: '', cert: 'env:GOOD', key: '', serverName: '' };
  expect(messageOf(() => readTlsMaterial({ tls, credentials: null }, env))).toContain('tls.key');
  expect(readTlsMaterial({ tls: null, credentials: null }, env)).toEqual({
    ca: null,
    cert: null,
    key: null,
    serverName: null,
  });
});
