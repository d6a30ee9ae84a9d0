import { deviceConfig, stoppedBecause } from '../../ingest/device-config.ts';
import { deviceRecord, profileRecord, subscription } from '../support/ingest-bench.ts';

const base = deviceRecord('leaf-1', { addresses: ['192.0.2.1:9339'], profiles: ['p'] });
const profile = profileRecord('p', { subscriptions: [subscription('/p')] });
const fingerprint = (device = base, one = profile) => deviceConfig(device, () => one).fingerprint;

test.each([
  ['who changed it', { changedBy: 'x', changedAtNs: 9n }],
  ['labels', { labels: new Map([['site', 'fra']]) }],
  ['how readers order its data', { orderByReceiveTime: true }],
  ['what readers do with root deletes', { honourRootDelete: true }],
  ['how readers take JSON apart', { explodeJson: true }],
])('S4: %s does not concern the session', (_what, fields) => {
  expect(fingerprint({ ...base, ...fields })).toBe(fingerprint());
  expect(fingerprint(base, { ...profile, changedBy: 'x', changedAtNs: 3n, explodeJson: true })).toBe(fingerprint());
});

test.each([
  ['an address', { addresses: ['192.0.2.2:9339'] }],
  ['credentials', { credentials: { username: 'a', password: 'env:B' } }],
  ['TLS', { plaintext: false }],
  ['a server name', { tls: { ca: '', cert: '', key: '', serverName: 'x' } }],
  ['a subscription', { subscriptions: [subscription('/b')] }],
  ['the receive time-out', { receiveTimeoutMs: 5 }],
  ['being disabled', { disabled: true }],
])('%s does', (_what, fields) => {
  expect(fingerprint({ ...base, ...fields })).not.toBe(fingerprint());
});

test('a changed profile does; a missing one is named', () => {
  expect(fingerprint(base, { ...profile, updatesOnly: true })).not.toBe(fingerprint());
  expect(deviceConfig(base, () => undefined)).toMatchObject({ profiles: [], missingProfiles: ['p'] });
});

test.each([
  [{}, null],
  [{ disabled: true }, 'disabled'],
  [{ addresses: [] }, 'no address'],
  [{ subscriptions: [], profiles: [] }, 'no subscriptions'],
])('%j has a session unless: %s', (fields, why) => {
  const reason = stoppedBecause(deviceConfig({ ...base, ...fields }, () => profile));
  if (why === null) expect(reason).toBeNull();
  else expect(reason).toContain(why);
});
