/** Get, Capabilities, Set and the health leaves over a real socket; test names cite the rules they check. */
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { setImmediate } from 'node:timers';
import { status } from '@grpc/grpc-js';
import { isRefusal } from '../../core/gnmi/refusal.ts';
import { answerGet } from '../../query-api/gnmi-get.ts';
import { gnmi, type GetRequest, type GetResponse } from '../../schemas/gnmi.ts';
import { type Init } from '../../schemas/message-codec.ts';
import { formatPath } from '../../schemas/path.ts';
import { decodeTypedValue, type TypedValue } from '../../schemas/value.ts';
import { type GnmiClient, path } from '../simulator/subscriber.ts';
import { pushedClock } from './api-fixture.ts';
import { type GnmiFixture, startGnmi, string, uint } from './gnmi-fixture.ts';

let fixture: GnmiFixture;
let client: GnmiClient;
beforeEach(async () => {
  fixture = await startGnmi({ settings: { gnmiMaxGetBytes: 4_096 } });
  client = fixture.connect();
});
afterEach(() => fixture.stop());

const target = (name: string) => ({ target: name, origin: '', elems: [] });
const get = async (request: Init<GetRequest>): Promise<GetResponse> =>
  gnmi.GetResponse.decode(
    await client.unary('Get', gnmi.GetRequest.encode({ prefix: target('dut'), encoding: 'PROTO', ...request })),
  );
const code = (request: Init<GetRequest>): Promise<unknown> =>
  get(request).then(
    () => status.OK,
    (error: unknown) => {
      const { code: found, details } = error as { code: number; details: string };
      expect(details).not.toBe('');
      return found;
    },
  );
const valueOf = (val: Buffer | undefined): TypedValue | null => decodeTypedValue(val ?? Buffer.alloc(0));

beforeEach(() => {
  fixture.addDevice('dut', [
    { path: '/a/b[k=v]/c', value: uint(18_446_744_073_709_551_615n) },
    { path: '/a/b[k=v]/d', value: string('x') },
    { path: '/e', value: uint(1) },
  ]);
});

describe('Get', () => {
  test('one notification per path, in order, of one moment (G1, G2)', async () => {
    const before = fixture.clock.nowNs();
    const { notification } = await get({ path: [path('/e'), path('/a')] });
    expect(notification.map(({ update }) => update.length)).toEqual([1, 2]);
    expect(new Set(notification.map(({ timestamp }) => timestamp)).size).toBe(1);
    expect(notification[0]!.timestamp).toBeGreaterThanOrEqual(before);
    expect(notification[0]!.prefix?.target).toBe('dut'); // N4
  });

  test.each([
    ['a container is one nested object (G5)', '/a', '{"b":[{"k":"v","c":"18446744073709551615","d":"x"}]}', '/a'],
    ['a leaf is a bare value', '/a/b[k=v]/c', '"18446744073709551615"', '/a/b[k=v]/c'],
    ['under wildcards it begins at the root (G6)', '/a/b[k=*]/d', '{"a":{"b":[{"k":"v","d":"x"}]}}', '/'],
  ])('as JSON_IETF %s', async (_, asked, json, at) => {
    const { notification } = await get({ path: [path(asked)], encoding: 'JSON_IETF' });
    const [update] = notification[0]!.update;
    expect(valueOf(update?.val)).toEqual({ kind: 'json_ietf', value: Buffer.from(json) });
    expect(formatPath(update!.path!)).toBe(at);
  });

  test.each([
    ['an absent path (G3)', { path: [path('/none')] }, status.NOT_FOUND],
    ['one absent path of two (G3)', { path: [path('/a'), path('/none')] }, status.NOT_FOUND],
    ['an unknown device (S15)', { prefix: target('other') }, status.NOT_FOUND],
    ['no target (S15)', { prefix: target('') }, status.INVALID_ARGUMENT],
    ['a type that needs a schema (G4)', { type: 'CONFIG' as const }, status.UNIMPLEMENTED],
    ['use_models (E9)', { useModels: [{ name: 'm' }] }, status.UNIMPLEMENTED],
    ['an encoding not offered (E5)', { encoding: 'BYTES' as const }, status.UNIMPLEMENTED],
    ['target in a path (N4)', { path: [{ ...path('/a'), target: 'dut' }] }, status.INVALID_ARGUMENT],
    [
      'origin in prefix and path (N8)',
      { prefix: { ...target('dut'), origin: 'a' }, path: [path('b:/a')] },
      status.INVALID_ARGUMENT,
    ],
  ])('%s has its code and a text', async (_, request, expected) => {
    expect(await code(request)).toBe(expected);
  });

  test('an answer too big for a message points to Subscribe ONCE (G7)', async () => {
    fixture.say('dut', { set: [{ path: '/blob', value: string('x'.repeat(5_000)) }] });
    await expect(get({ path: [path('/blob')] })).rejects.toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
      details: expect.stringContaining('ONCE'),
    });
  });

  test('paths count as values do, before the answer is made (G7, A3)', async () => {
    const long = 'x'.repeat(300);
    fixture.say('dut', {
      set: Array.from({ length: 20 }, (_, index) => ({ path: `/long/${long}[i=${index}]/v`, value: uint(1) })),
    });
    const encoded = jest.spyOn(gnmi.GetResponse, 'encode');
    expect(await code({ path: [path('/long')] })).toBe(status.RESOURCE_EXHAUSTED);
    expect(encoded).not.toHaveBeenCalled();
    const { notification } = await get({ path: [path('/long')], encoding: 'JSON' }); // says the path once
    expect(notification).toHaveLength(1);
    fixture.say('dut', {
      set: Array.from({ length: 40 }, (_, index) => ({ path: `/keys/e[k=${index}${long}]/v`, value: uint(1) })),
    });
    encoded.mockClear();
    expect(await code({ path: [path('/keys')], encoding: 'JSON' })).toBe(status.RESOURCE_EXHAUSTED);
    expect(encoded).not.toHaveBeenCalled();
    encoded.mockRestore();
  });

  test('paths times devices beyond the setting are RESOURCE_EXHAUSTED', async () => {
    await fixture.stop();
    fixture = await startGnmi({ settings: { gnmiMaxGetLookUps: 5 } });
    client = fixture.connect();
    for (const device of ['a', 'b', 'c']) fixture.addDevice(device, [{ path: '/e', value: uint(1) }]);
    const paths = (count: number) => Array.from({ length: count }, () => path('/e'));
    expect(await code({ prefix: target('*'), path: paths(2) })).toBe(status.RESOURCE_EXHAUSTED);
    expect(await code({ prefix: target('*'), path: paths(1) })).toBe(status.OK);
    expect(await code({ prefix: target('a'), path: paths(5) })).toBe(status.OK);
  });

  test('others have their turn while a fleet is read, and a slot forgotten meanwhile refuses the answer (A2)', async () => {
    const clock = pushedClock();
    await fixture.stop();
    fixture = await startGnmi({ clock: { ...clock, monotonicMs: () => (clock.push(1), clock.monotonicMs()) } });
    for (let index = 0; index < 50; index += 1) fixture.addDevice(`d${index}`, [{ path: '/e', value: uint(1) }]);
    const request = gnmi.GetRequest.decode(gnmi.GetRequest.encode({ prefix: target('*'), path: [path('/e')] }));
    let turns = 0;
    let isOver = false;
    const count = (): void => {
      turns += 1;
      if (!isOver) setImmediate(count);
    };
    count();
    const whole = await answerGet(fixture.context, request);
    expect(isRefusal(whole)).toBe(false);
    expect(turns).toBeGreaterThan(5);
    const cut = answerGet(fixture.context, request);
    fixture.state.reset(0);
    expect(await cut).toMatchObject({ code: status.UNAVAILABLE });
    fixture.state.load();
    expect(await answerGet(fixture.context, request, () => true)).toMatchObject({ code: status.CANCELLED });
    isOver = true;
  });

  test('with * each device answers for itself, those without the path are left out; nobody has it: NOT_FOUND', async () => {
    fixture.addDevice('second', [{ path: '/e', value: uint(2) }]);
    const { notification } = await get({ prefix: target('*'), path: [path('/e'), path('/a')] });
    expect(notification.map(({ prefix }) => prefix?.target)).toEqual(['dut', 'second', 'dut']);
    expect(await code({ prefix: target('*'), path: [path('/none')] })).toBe(status.NOT_FOUND);
  });

  test('an atomic group comes whole under its prefix (A10)', async () => {
    const root = '/acl/set[name=x]';
    fixture.say('dut', {
      set: ['a', 'b'].map((name) => ({ path: `${root}/${name}`, value: uint(1), atomicRoot: root })),
    });
    const { notification } = await get({ path: [path('/acl')] });
    expect(notification).toHaveLength(1);
    expect(notification[0]).toMatchObject({ atomic: true });
    expect(formatPath({ ...notification[0]!.prefix!, target: '' })).toBe(root);
    expect(notification[0]!.update.map((one) => formatPath(one.path!))).toEqual(['/a', '/b']);
  });

  test('leaves of a group that has ended stand with the plain ones (A3)', async () => {
    fixture.say('dut', {
      set: [
        { path: '/acl/a', value: uint(1), atomicRoot: '/acl' },
        { path: '/acl/b', value: uint(1) },
      ],
    });
    const { notification } = await get({ path: [path('/acl')] });
    expect(notification.map(({ atomic, update }) => [atomic, update.length])).toEqual([[false, 2]]);
  });

  test('depth holds for Get, too (extension 5)', async () => {
    expect(await code({ path: [path('/a')], extension: [{ depth: { level: 1 } }] })).toBe(status.NOT_FOUND);
    const { notification } = await get({ path: [path('/a/b')], extension: [{ depth: { level: 1 } }] });
    expect(notification[0]!.update).toHaveLength(2);
  });
});

describe('health below /meta', () => {
  const health = async (): Promise<Record<string, unknown>> => {
    const { notification } = await get({ path: [path('/meta')] });
    return Object.fromEntries(
      notification[0]!.update.map(({ path: at, val }) => {
        const value = valueOf(val);
        return [at!.elems[1]!.name, value !== null && 'value' in value ? value.value : null];
      }),
    );
  };

  test('says what this instance knows, under the names of the reference', async () => {
    expect(await health()).toMatchObject({
      sync: true,
      connected: true,
      connectedAddress: '192.0.2.1:9339',
      serverName: 'query-1',
      targetLeaves: 3n,
      stalenessMs: expect.anything(),
      latestTimestamp: expect.anything(),
    });
  });

  test('a device that waits has its error and no address; one never seen has neither', async () => {
    fixture.setStatus('dut', { state: 'waiting', code: 'UNREACHABLE', detail: 'no route' });
    const waiting = await health();
    expect(waiting).toMatchObject({ sync: false, connected: false, connectError: 'UNREACHABLE: no route' });
    expect(waiting).not.toHaveProperty('connectedAddress');
    fixture.tables.status.delete('dut');
    const unseen = await health();
    expect(unseen).toMatchObject({ sync: false, connected: false });
    expect(unseen).not.toHaveProperty('connectError');
  });

  test('a device that sends `meta` itself changes nothing of ours and harms nothing', async () => {
    fixture.say('dut', {
      set: [
        { path: '/meta/sync', value: string('mine') },
        { path: '/meta/own', value: uint(1) },
        { path: 'meta:/sync', value: string('other') },
      ],
    });
    const now = await health();
    expect(now).toMatchObject({ sync: true });
    expect(now).not.toHaveProperty('own');
    const { notification } = await get({ path: [path('meta:/sync')] });
    expect(valueOf(notification[0]!.update[0]?.val)).toEqual(string('other'));
  });
});

test('Capabilities: the models of all devices, once, in order; our encodings and version (E1)', async () => {
  const model = (name: string, version: string) => ({ name, organization: 'o', version });
  fixture.setStatus('dut', { models: [model('b', '1'), model('a', '2')] });
  fixture.addDevice('other');
  fixture.setStatus('other', { models: [model('a', '2'), model('a', '1')] });
  const answer = gnmi.CapabilityResponse.decode(await client.unary('Capabilities', Buffer.alloc(0)));
  expect(answer.supportedModels).toEqual([model('a', '1'), model('a', '2'), model('b', '1')]);
  expect(answer.supportedEncodings).toEqual(['JSON', 'JSON_IETF', 'PROTO']);
  expect(answer.gnmiVersion).toBe('0.10.0');
  const depth = gnmi.CapabilityRequest.encode({ extension: [{ depth: { level: 1 } }] });
  await expect(client.unary('Capabilities', depth)).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
});

test('Set is UNIMPLEMENTED at once, with a text (section 11)', async () => {
  await expect(client.unary('Set', Buffer.alloc(0))).rejects.toMatchObject({
    code: status.UNIMPLEMENTED,
    details: expect.stringContaining('Set'),
  });
});

test('what is no message has its code; nothing a peer sends ends the process', async () => {
  for (const method of ['Get', 'Capabilities'] as const) {
    await expect(client.unary(method, Buffer.from([0x0a, 0x7f, 1]))).rejects.toMatchObject({
      code: status.INVALID_ARGUMENT,
    });
  }
  expect(await code({ path: [path('/a')] })).toBe(status.OK);
});
