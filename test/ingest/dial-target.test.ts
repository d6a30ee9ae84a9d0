import { Redacted } from '../../core/redacted.ts';
import { dialKey, dialTarget, sameTarget } from '../../ingest/dial-target.ts';
import { type DialTarget } from '../../ingest/transport.ts';
import { benchSettings, deviceRecord, subscription } from '../support/ingest-bench.ts';

const tls = { ca: '', cert: '', key: '', serverName: 'leaf.example' };
const record = deviceRecord('leaf-1', {
  addresses: ['192.0.2.1:57400'],
  plaintext: false,
  tls,
  credentials: { username: 'ops', password: 'env:PASSWORD' },
});
const targetOf = (device = record, password = 'sesame'): DialTarget =>
  dialTarget(device, '192.0.2.1:57400', { env: { PASSWORD: password }, settings: benchSettings });

test('T1, T4: a target holds what the record refers to, as it is now; plaintext only where it is asked for', () => {
  const target = targetOf();
  expect(target).toMatchObject({ device: 'leaf-1', address: '192.0.2.1:57400', tls: { serverName: 'leaf.example' } });
  expect(target.credentials?.password.reveal()).toBe('sesame');
  expect(targetOf({ ...record, plaintext: true }).tls).toBeNull();
});

test('targets are the same only down to the secrets', () => {
  const target = targetOf();
  const key = new Redacted('key');
  const withTls: DialTarget = { ...target, tls: { ca: 'ca', cert: 'cert', key, serverName: null } };
  expect(sameTarget(target, targetOf())).toBe(true);
  expect(
    sameTarget(withTls, { ...withTls, tls: { ca: 'ca', cert: 'cert', key: new Redacted('key'), serverName: null } }),
  ).toBe(true);
  const others: DialTarget[] = [
    targetOf(record, 'other'),
    { ...target, device: 'leaf-2' },
    { ...target, address: '192.0.2.2:57400' },
    { ...target, tls: null },
    { ...target, credentials: null },
    { ...target, receiveBytesMax: 1 },
    { ...target, receiveWindowBytes: 1 },
    withTls,
  ];
  for (const other of others) expect(sameTarget(target, other)).toBe(false);
  for (const change of [{ ca: 'x' }, { cert: 'x' }, { key: new Redacted('x') }, { serverName: 'x' }]) {
    expect(sameTarget(withTls, { ...withTls, tls: { ca: 'ca', cert: 'cert', key, serverName: null, ...change } })).toBe(
      false,
    );
  }
});

test('a key changes with what is dialled, and with nothing else', () => {
  const key = dialKey(record);
  expect(dialKey({ ...record, subscriptions: [subscription('/b')], changedAtNs: 7n })).toBe(key);
  for (const change of [{ addresses: [] }, { plaintext: true }, { tls: { ...tls, ca: 'file:/ca' } }])
    expect(dialKey({ ...record, ...change })).not.toBe(key);
});
