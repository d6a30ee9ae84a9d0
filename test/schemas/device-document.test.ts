import { expect, describe, test } from '@jest/globals';
import { parse as parseYaml, stringify } from 'yaml';
import { type Device, deviceCodec } from '../../schemas/device.ts';
import {
  documentsWithin,
  formatDevice,
  formatProfile,
  parseDevice,
  parseDevicesFile,
  parseProfile,
  sameDevice,
  sameProfile,
} from '../../schemas/device-document.ts';
import { type Profile } from '../../schemas/profile.ts';

const file = `
devices:
  - name: leaf-1
    addresses: ["192.0.2.1:9339", "[2001:db8::1]:9339"]
    tls: { ca: file:/etc/holdfast/ca.pem, cert: file:/c.pem, key: env:KEY, serverName: leaf-1.example }
    credentials: { username: telemetry, password: file:/run/secrets/leaf }
    labels: { site: fra, role: leaf, __proto__: x }
    profiles: [interfaces, bgp]
  - name: leaf-2
    addresses: [leaf-2.example:57400]
    plaintext: true
    encoding: json_ietf
    subscriptions: [{ path: "openconfig:/interfaces/interface[b=2][a=1]/" }, { path: / }]
    receiveTimeoutMs: 30000
    orderByReceiveTime: true
    honourRootDelete: true
    explodeJson: true
    disabled: true
profiles:
  - name: interfaces
    encoding: proto
    updatesOnly: true
    subscriptions:
      - { path: /interfaces/interface/state/counters, mode: sample, intervalMs: 10000, suppressRedundant: true }
      - { path: /interfaces/interface/state/oper-status, mode: on-change, heartbeatMs: 3600000 }
`;

function parsed(): { devices: readonly Device[]; profiles: readonly Profile[] } {
  const result = parseDevicesFile(parseYaml(file));
  if (!result.ok) throw new Error(result.problems.join('\n'));
  return result;
}

test('a file of devices and profiles becomes exact records', () => {
  const { devices, profiles } = parsed();
  expect(devices).toEqual([
    {
      name: 'leaf-1',
      addresses: ['192.0.2.1:9339', '[2001:db8::1]:9339'],
      plaintext: false,
      tls: { ca: 'file:/etc/holdfast/ca.pem', cert: 'file:/c.pem', key: 'env:KEY', serverName: 'leaf-1.example' },
      credentials: { username: 'telemetry', password: 'file:/run/secrets/leaf' },
      labels: new Map([
        ['__proto__', 'x'],
        ['role', 'leaf'],
        ['site', 'fra'],
      ]),
      profiles: ['interfaces', 'bgp'],
      subscriptions: [],
      encoding: '',
      disabled: false,
      receiveTimeoutMs: 0,
      orderByReceiveTime: false,
      honourRootDelete: false,
      explodeJson: false,
      changedBy: '',
      changedAtNs: 0n,
    },
    {
      name: 'leaf-2',
      addresses: ['leaf-2.example:57400'],
      plaintext: true,
      labels: new Map(),
      profiles: [],
      subscriptions: ['openconfig:/interfaces/interface[a=1][b=2]', '/'].map((path) => ({
        path,
        mode: 'target-defined',
        intervalMs: 0,
        heartbeatMs: 0,
        suppressRedundant: false,
      })),
      encoding: 'json_ietf',
      disabled: true,
      receiveTimeoutMs: 30_000,
      orderByReceiveTime: true,
      honourRootDelete: true,
      explodeJson: true,
      changedBy: '',
      changedAtNs: 0n,
    },
  ]);
  expect(profiles).toEqual([
    {
      name: 'interfaces',
      encoding: 'proto',
      updatesOnly: true,
      explodeJson: false,
      subscriptions: [
        {
          path: '/interfaces/interface/state/counters',
          mode: 'sample',
          intervalMs: 10_000,
          heartbeatMs: 0,
          suppressRedundant: true,
        },
        {
          path: '/interfaces/interface/state/oper-status',
          mode: 'on-change',
          intervalMs: 0,
          heartbeatMs: 3_600_000,
          suppressRedundant: false,
        },
      ],
      changedBy: '',
      changedAtNs: 0n,
    },
  ]);
  for (const device of devices) expect(deviceCodec.decode(deviceCodec.encode(device))).toEqual(device);
});

test('Y5: what is printed, as YAML or JSON, parses to the same; change notes are ignored', () => {
  const { devices, profiles } = parsed();
  const changed = { changedBy: 'ops', changedAtNs: 1795246383702000001n };
  for (const device of devices) {
    const document = formatDevice({ ...device, ...changed });
    expect(document).toMatchObject({ changedBy: 'ops', changedAt: '2026-11-21T07:33:03.702Z' });
    const body: Record<string, unknown> = { ...document, status: { state: 'synced' } };
    expect(parseDevice(parseYaml(stringify(body)))).toEqual({ ok: true, device });
    expect(parseDevice(JSON.parse(JSON.stringify(body)))).toEqual({ ok: true, device });
  }
  for (const profile of profiles) {
    const document = formatProfile({ ...profile, ...changed });
    expect(parseProfile(parseYaml(stringify(document)))).toEqual({ ok: true, profile });
  }
});

test('Y5: what is unsaid is not printed', () => {
  const result = parseDevice({ name: 'a', addresses: ['a:1'], plaintext: true, profiles: ['p'] });
  expect(result.ok && formatDevice(result.device)).toEqual({
    name: 'a',
    addresses: ['a:1'],
    plaintext: true,
    profiles: ['p'],
  });
  const withTls = parseDevice({ name: 'a', addresses: ['a:1'], tls: {}, profiles: ['p'] });
  expect(withTls.ok && formatDevice(withTls.device)['tls']).toEqual({});
});

const good = { name: 'leaf-1', addresses: ['192.0.2.1:9339'], plaintext: true, profiles: ['p'] };
const sub = (fields: object): object => ({ ...good, subscriptions: [{ path: '/a', ...fields }] });

describe('problems', () => {
  test.each<[string, object | null, string]>([
    ['', null, 'must be an object'],
    ['', { ...good, addresses: undefined }, 'addresses: required'],
    ['', { ...good, disabled: 1 }, 'disabled: must be true or false'],
    ['', { ...good, profiles: 'p' }, 'profiles: must be a list'],
    ['', { ...good, name: '..' }, 'not . or ..'],
    ['', { ...good, receiveTimeoutMs: 2 ** 31 }, 'receiveTimeoutMs: must be at most'],
    ['', { ...good, nmae: 1 }, 'unknown field "nmae"'],
    ['', { ...good, name: 'a b' }, 'name: must be 1-128'],
    ['', { ...good, name: 'a'.repeat(129) }, 'name: must be 1-128'],
    ['', { ...good, name: 'a|b' }, 'name: must be 1-128'],
    ['', { ...good, addresses: [] }, 'addresses: must have at least one'],
    ...[
      '192.0.2.1',
      '192.0.2.1:0',
      '192.0.2.1:65536',
      '2001:db8::1:9339',
      '[192.0.2.1]:1',
      ':1',
      'a b:1',
      'http://a:1',
    ].map((address): [string, object, string] => [
      '',
      { ...good, addresses: [address] },
      'addresses[0]: must be host:port',
    ]),
    ['T1', { ...good, plaintext: false }, 'tls: required, or plaintext: true'],
    ['T1', { ...good, tls: {} }, 'plaintext, tls: only one of them'],
    ['T3', { ...good, plaintext: false, tls: { cert: 'file:/c' } }, 'tls: cert and key go together'],
    ['', { ...good, plaintext: false, tls: { ca: '-----BEGIN' } }, 'tls.ca: must be a reference'],
    ['T9', { ...good, credentials: { username: 'u' } }, 'credentials.password'],
    ['T9', { ...good, credentials: { password: 'env:P' } }, 'credentials.username'],
    ['', { ...good, credentials: { username: 'u', password: 'file:' } }, 'credentials.password: must be a reference'],
    ['', { ...good, labels: { a: 1 } }, 'labels: must be names with texts'],
    ['', { ...good, profiles: [] }, 'profiles, subscriptions: at least one'],
    ['', { ...good, encoding: 'JSON' }, 'encoding: must be one of proto, json_ietf'],
    ['', { ...good, receiveTimeoutMs: 1.5 }, 'receiveTimeoutMs: must be a whole number'],
    ['', { ...good, receiveTimeoutMs: -1 }, 'receiveTimeoutMs: must not be negative'],
    ['P6', sub({ path: '/a[' }), 'subscriptions[0].path: path "/a[" is malformed at position 2'],
    ['', sub({ mode: 'SAMPLE' }), 'subscriptions[0].mode: must be one of target-defined, on-change, sample'],
    ['M13', sub({ mode: 'on-change', intervalMs: 1 }), 'subscriptions[0].intervalMs: only for mode sample'],
    ['M9', sub({ intervalMs: 1 }), 'subscriptions[0].intervalMs: only for mode sample'],
    ['', sub({ interval: 1 }), 'subscriptions[0]: unknown field "interval"'],
  ])('%s %j', (_rule, input, expected) => {
    const result = parseDevice(input);
    const problems = result.ok ? [] : result.problems;
    expect(problems.join('\n')).toContain(expected);
    expect(problems).toHaveLength(1);
  });

  test('Y1: all are told at once', () => {
    const result = parseDevice({
      name: '',
      addresses: ['x'],
      credentials: { username: 'u', password: 'hunter2' },
      subscriptions: [{ path: '/a]', mode: 'on-change', intervalMs: 5 }, { path: '/b[' }],
      more: 1,
    });
    expect(result.ok ? [] : result.problems.map((problem) => problem.split(':')[0])).toEqual(
      expect.arrayContaining([
        'name',
        'addresses[0]',
        'credentials.password',
        'subscriptions[0].path',
        'subscriptions[1].path',
        'subscriptions[0].intervalMs',
        'unknown field "more"',
        'tls',
      ]),
    );
  });

  test('Y1, Y2: a literal secret is refused and not repeated', () => {
    const credentials = { username: 'u', password: 'hunter2' };
    const result = parseDevice({ ...good, plaintext: false, tls: { key: 'hunter2', cert: 'hunter2' }, credentials });
    expect(result.ok ? [] : result.problems).toHaveLength(3);
    expect(JSON.stringify(result)).not.toContain('hunter2');
  });

  test('a file tells where, and names that are there twice', () => {
    const result = parseDevicesFile({
      devices: [good, { ...good, addresses: [] }, 5],
      profiles: [{ name: 'p', subscriptions: [] }],
      device: [],
    });
    expect(result.ok ? [] : result.problems).toEqual([
      'unknown field "device"',
      'devices[1] (leaf-1): this name is there twice',
      'devices[1] (leaf-1): addresses: must have at least one',
      expect.stringContaining('devices[2]: '),
      'profiles[0] (p): subscriptions: must have at least one',
    ]);
    expect(parseDevicesFile(null)).toMatchObject({ ok: false });
    expect(parseDevicesFile({ devices: {} })).toMatchObject({ ok: false, problems: ['devices: must be a list'] });
    expect(parseDevicesFile({})).toEqual({ ok: true, devices: [], profiles: [] });
  });
});

describe('Y6: what is beyond a bound is not looked at', () => {
  const bounded = documentsWithin({ pathElementsMax: 3 });
  const withPath = (path: string) => ({ ...good, name: 'a', subscriptions: [{ path }] });

  test('a path has as many elements as allowed, a key with slashes counts as one, and other fields are as ever', () => {
    for (const path of ['/a/b/c', '/a[k=/x/y/z]/b/c', '/']) {
      expect(parseDevice(withPath(path), bounded)).toEqual(parseDevice(withPath(path)));
      expect(parseProfile({ name: 'p', subscriptions: [{ path }] }, bounded).ok).toBe(true);
    }
    const said = expect.stringMatching(/^subscriptions\[0\]\.path: .{1,260} more than the 3 elements allowed$/);
    for (const path of ['/a/b/c/d', '/e'.repeat(1_000_000)]) {
      expect(parseDevice(withPath(path), bounded)).toEqual({ ok: false, problems: [said] });
      expect(parseProfile({ name: 'p', subscriptions: [{ path }] }, bounded)).toEqual({ ok: false, problems: [said] });
      expect(parseDevice(withPath(path)).ok).toBe(true);
    }
    expect(parseProfile({ name: 'p', subscriptions: [] }, bounded)).toEqual(
      parseProfile({ name: 'p', subscriptions: [] }),
    );
  });

  test.each(['addresses', 'profiles', 'subscriptions'])('more than 10,000 %s are one problem', (field) => {
    const input = { ...good, [field]: Array(10_001).fill({}) };
    const problems = [`${field}: has 10001 entries, more than the 10000 allowed`];
    expect(parseDevice(input)).toEqual({ ok: false, problems });
  });

  test('a file that is wrong everywhere tells the first thousand problems', () => {
    const result = parseDevicesFile({ devices: Array(100_000).fill({}) });
    const problems = result.ok ? [] : result.problems;
    expect(problems.length).toBeLessThan(1_010);
    expect(problems.at(-1)).toBe('so many problems that the rest was not looked at');
  });
});

test('two records are the same whoever changed them and when, and however labels are ordered', () => {
  const [device] = parsed().devices;
  const again = { ...device!, labels: new Map([...device!.labels].reverse()), changedBy: 'x', changedAtNs: 5n };
  expect(sameDevice(device!, again)).toBe(true);
  expect(sameDevice(device!, { ...again, disabled: true })).toBe(false);
  const [profile] = parsed().profiles;
  expect(sameProfile(profile!, { ...profile!, changedBy: 'x' })).toBe(true);
  expect(sameProfile(profile!, { ...profile!, updatesOnly: false })).toBe(false);
});
