import { chooseEncoding, decodeOffer, planRpcs } from '../../ingest/subscription-plan.ts';
import { gnmi } from '../../schemas/gnmi.ts';
import { deviceRecord, profileRecord, subscription } from '../support/ingest-bench.ts';

const offer = { gnmiVersion: '0.10.0', encodings: ['proto', 'json'] as const, models: [] };

function rpcsOf(...args: Parameters<typeof planRpcs>) {
  const plan = planRpcs(...args);
  if (plan.kind === 'impossible') throw new Error(plan.failure.detail);
  return plan.rpcs.map((rpc) => ({ ...rpc, list: gnmi.SubscribeRequest.decode(rpc.request).subscribe }));
}

test.each([
  ['', ['proto', 'json_ietf', 'json'], 'proto'],
  ['', ['json', 'json_ietf'], 'json_ietf'],
  ['', ['ascii'], 'ascii'],
  ['', [], 'json'], // E4
  ['json', ['proto'], 'json'], // E3: configuration may force one
] as const)('E2–E4: wanted %j of %j is %s', (wanted, encodings, chosen) => {
  expect(chooseEncoding(wanted, { ...offer, encodings })).toBe(chosen);
});

test('E2: without Capabilities it is JSON', () => {
  expect(chooseEncoding('', null)).toBe('json');
});

test('S5: subscriptions of one encoding, updates_only and origin share one RPC, numbered 0', () => {
  const rpcs = rpcsOf(
    deviceRecord('leaf-1', { subscriptions: [subscription('/c'), subscription('openconfig:/d')] }),
    [profileRecord('p', { subscriptions: [subscription('/a'), subscription('/b', 'sample')] })],
    offer,
  );
  expect(rpcs).toHaveLength(1);
  expect(rpcs[0]).toMatchObject({ rpc: 0, encoding: 'proto', updatesOnly: false });
  expect(rpcs[0]?.list?.subscription.map(({ path }) => path?.elems[0]?.name)).toEqual(['a', 'b', 'c', 'd']);
  expect(rpcs[0]?.list).toMatchObject({ mode: 'STREAM', prefix: { target: 'leaf-1', elems: [] } });
});

test('another encoding, origin or updates_only is another RPC, numbered from 1', () => {
  const rpcs = rpcsOf(
    deviceRecord('leaf-1', { subscriptions: [subscription('cli:/show')] }),
    [
      profileRecord('p', { subscriptions: [subscription('/a')] }),
      profileRecord('q', { subscriptions: [subscription('/a')], encoding: 'json_ietf' }),
      profileRecord('r', { subscriptions: [subscription('/a')], updatesOnly: true }),
    ],
    offer,
  );
  expect(rpcs.map(({ rpc, encoding, updatesOnly, list }) => [rpc, encoding, updatesOnly, list?.encoding])).toEqual([
    [1, 'proto', false, 'PROTO'],
    [2, 'json_ietf', false, 'JSON_IETF'],
    [3, 'proto', true, 'PROTO'],
    [4, 'proto', false, 'PROTO'],
  ]);
});

test('a subscription that two profiles name is sent once', () => {
  const profile = { subscriptions: [subscription('/a')] };
  const rpcs = rpcsOf(
    deviceRecord('leaf-1', { subscriptions: [subscription('/a'), subscription('/a', 'sample')] }),
    [profileRecord('p', profile), profileRecord('q', profile)],
    offer,
  );
  expect(rpcs[0]?.subscriptions).toEqual([subscription('/a'), subscription('/a', 'sample')]);
});

test('M5 M9: intervals are nanoseconds, and only modes that have them carry them', () => {
  const fields = { intervalMs: 10_000, heartbeatMs: 3_600_000, suppressRedundant: true };
  const subscriptions = (['sample', 'on-change', 'target-defined'] as const).map((mode) => ({
    ...subscription('/a'),
    ...fields,
    mode,
  }));
  const [rpc] = rpcsOf(deviceRecord('leaf-1', { subscriptions }), [], offer);
  expect(rpc?.list?.subscription).toMatchObject([
    { mode: 'SAMPLE', sampleInterval: 10_000_000_000n, suppressRedundant: true, heartbeatInterval: 3_600_000_000_000n },
    { mode: 'ON_CHANGE', sampleInterval: 0n, suppressRedundant: false },
    { mode: 'TARGET_DEFINED', sampleInterval: 0n, suppressRedundant: false },
  ]);
});

test('a path that does not parse is refused with its position; no subscription at all is too', () => {
  const malformed = planRpcs(deviceRecord('leaf-1', { subscriptions: [subscription('/a[')] }), [], offer);
  expect(malformed).toMatchObject({ kind: 'impossible', failure: { code: 'SUBSCRIPTION_REFUSED', retry: 'slowly' } });
  expect(planRpcs(deviceRecord('leaf-1', { subscriptions: [] }), [], offer)).toMatchObject({ kind: 'impossible' });
});

test('the offer is read from CapabilityResponse; what is none is no offer', () => {
  const models = [{ name: 'm', organization: 'o', version: '1' }];
  const supportedEncodings = ['JSON', 'JSON_IETF', 'PROTO'] as const;
  const bytes = gnmi.CapabilityResponse.encode({ supportedModels: models, supportedEncodings, gnmiVersion: '0.7.0' });
  expect(decodeOffer(bytes)).toEqual({ gnmiVersion: '0.7.0', encodings: ['proto', 'json_ietf', 'json'], models });
  expect(decodeOffer(Buffer.from([0xff]))).toBeNull();
});
