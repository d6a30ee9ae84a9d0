import { describe, expect, test } from '@jest/globals';
import { status } from '@grpc/grpc-js';
import { isRefusal } from '../../../core/gnmi/refusal.ts';
import { planSubscribe, viewKey } from '../../../core/gnmi/subscribe-plan.ts';
import { gnmi, type SubscribeRequest } from '../../../schemas/gnmi.ts';
import { type Init } from '../../../schemas/message-codec.ts';
import { formatPath, parsePath } from '../../../schemas/path.ts';

type List = NonNullable<Init<SubscribeRequest>['subscribe']>;

/** As it comes off the wire, defaults and all. */
const plan = (list: List) => {
  const bytes = gnmi.SubscribeRequest.encode({ subscribe: list });
  return planSubscribe(gnmi.SubscribeRequest.decode(bytes).subscribe!, {
    offers: ['JSON', 'PROTO'],
    sampleIntervalMsMin: 100,
  });
};
const accepted = (list: List) => {
  const planned = plan(list);
  if (isRefusal(planned)) throw new Error(planned.details);
  return planned;
};
const one = (more: object = {}, list: object = {}): List => ({
  subscription: [{ path: parsePath('/a'), ...more }],
  ...list,
});
const ns = (ms: number): bigint => BigInt(ms) * 1_000_000n;

describe('refusals, each with its code and a text that says why', () => {
  test.each([
    ['an empty list (S3)', { subscription: [] }, status.INVALID_ARGUMENT, 'empty'],
    ['use_models (E9)', one({}, { useModels: [{ name: 'm' }] }), status.UNIMPLEMENTED, 'use_models'],
    ['an encoding not offered (E5)', one({}, { encoding: 'ASCII' }), status.UNIMPLEMENTED, 'JSON, PROTO'],
    [
      'origin in prefix and path (N8)',
      one({ path: parsePath('a:/b') }, { prefix: { origin: 'a', target: '', elems: [] } }),
      status.INVALID_ARGUMENT,
      'origin',
    ],
    [
      'origin in a path under a prefix with elements (N8)',
      one({ path: parsePath('a:/b') }, { prefix: parsePath('/c') }),
      status.INVALID_ARGUMENT,
      'origin',
    ],
    ['target in a path (N4)', one({ path: { ...parsePath('/a'), target: 'x' } }), status.INVALID_ARGUMENT, 'target'],
    ['TARGET_DEFINED with an interval (M9)', one({ sampleInterval: ns(500) }), status.INVALID_ARGUMENT, 'sample'],
    [
      'an interval that cannot be had (M6)',
      one({ mode: 'SAMPLE', sampleInterval: ns(100) - 1n }),
      status.INVALID_ARGUMENT,
      '99999999 ns',
    ],
    ['a heartbeat that cannot be had (M6)', one({ heartbeatInterval: 1n }), status.INVALID_ARGUMENT, 'heartbeat'],
  ])('%s', (_, list, code, text) => {
    const refusal = plan(list);
    expect(refusal).toMatchObject({ code });
    expect(refusal).toHaveProperty('details', expect.stringContaining(text));
  });
});

describe('what is accepted', () => {
  test('nothing said means STREAM, TARGET_DEFINED and JSON (S9, E4), which is on-change here (M9)', () => {
    expect(accepted(one())).toMatchObject({
      mode: 'STREAM',
      form: { values: 'json', target: '' },
      subscriptions: [{ mode: 'on-change', heartbeatMs: 0 }],
    });
  });

  test.each([
    [0n, 100],
    [ns(100), 100],
    [ns(100) + 1n, 100.000001],
    [2n ** 53n + 1n, 9_007_199_254.740993],
    [2n ** 64n - 1n, 18_446_744_073_709.55],
  ])('a sample interval of %s ns is %s ms: 0 the fastest (M5), nothing rounded away (M6, M10)', (interval, ms) => {
    const [planned] = accepted(one({ mode: 'SAMPLE', sampleInterval: interval })).subscriptions;
    expect(planned?.intervalMs).toBeCloseTo(ms, 2);
  });

  test('fields that do not fit the mode are ignored and named for the log (M13), qos too (T23)', () => {
    const list = one(
      { mode: 'ON_CHANGE', sampleInterval: 1n, suppressRedundant: true },
      { qos: { marking: 46 }, allowAggregation: true },
    );
    const { ignored, subscriptions } = accepted(list);
    expect([...ignored].sort()).toEqual(['qos', 'sample_interval', 'suppress_redundant']);
    expect(subscriptions[0]?.suppressRedundant).toBe(false);
  });

  test('ONCE and POLL do not look at intervals', () => {
    expect(accepted(one({ mode: 'SAMPLE', sampleInterval: 1n }, { mode: 'ONCE' })).mode).toBe('ONCE');
  });

  test('prefix and path are joined (N1), the origin is said where the request said it (N4, N7) and normalised (N6)', () => {
    const prefixed = accepted(one({}, { prefix: { ...parsePath('x:/p'), target: 'leaf-1' } }));
    expect(prefixed.subscriptions.map(({ path }) => formatPath(path))).toEqual(['x:/p/a']);
    expect(prefixed.form).toMatchObject({ prefixOrigin: 'x', target: 'leaf-1' });
    const inPath = accepted(one({ path: parsePath('openconfig:/a') }));
    expect(inPath.form).toMatchObject({ prefixOrigin: '', pathOrigins: new Set(['openconfig']) });
    expect(inPath.subscriptions.map(({ path }) => formatPath(path))).toEqual(
      accepted(one()).subscriptions.map(({ path }) => formatPath(path)),
    );
  });

  test('views are shared only by requests that see the same', () => {
    const keys = [one(), one({}, { encoding: 'PROTO' }), one({ mode: 'SAMPLE' }), one({ path: parsePath('/b') })];
    expect(new Set(keys.map((list) => viewKey(accepted(list)))).size).toBe(keys.length);
    expect(viewKey(accepted(one()))).toBe(viewKey(accepted(one({ heartbeatInterval: ns(1000) }))));
  });
});
