/** Capabilities, Get and Set of query-api's gNMI service, and its TLS. */
import { expect } from '@jest/globals';
import { credentials, status } from '@grpc/grpc-js';
import { connect } from 'node:tls';
import { gnmi } from '../../schemas/gnmi.ts';
import { formatElems, parsePath, rootPath } from '../../schemas/path.ts';
import { decodeTypedValue } from '../../schemas/value.ts';
import { type GnmiClient } from '../simulator/subscriber.ts';
import { eventually } from '../support/eventually.ts';
import { type Scenario } from './scenario.ts';
import { fails, get, jsonOf, list, refuses, told } from './server-request.ts';
import { type ConformanceStage, secureInstance } from './stage.ts';
import { type StagedDevice } from './staged-device.ts';

const ports = { '/if[name=a]/state/in': 1, '/if[name=a]/state/up': true, '/if[name=b]/state/in': 3, '/sys/name': 'x' };

async function withPorts(stage: ConformanceStage): Promise<{ device: StagedDevice; reader: GnmiClient }> {
  const device = await stage.synced();
  device.send({ t: 1_000, set: ports });
  await device.settled();
  return { device, reader: stage.reader() };
}

const capabilities = async (reader: GnmiClient) =>
  gnmi.CapabilityResponse.decode(await reader.unary('Capabilities', gnmi.CapabilityRequest.encode({})));

const texts = async (stage: ConformanceStage) => {
  const { authority, client } = await stage.certificates();
  return { ca: Buffer.from(authority.cert), cert: Buffer.from(client.cert), key: Buffer.from(client.key) };
};

export const serverGet: readonly Scenario[] = [
  {
    id: 'server/capabilities',
    title: 'Capabilities answers the version, JSON, JSON_IETF and PROTO, and the models of the devices',
    rules: 'E1 E7',
    run: async (stage) => {
      const models = [{ name: 'vendor-conformance', organization: 'Vendor', version: '7' }];
      const device = await stage.device({}, { models });
      (await device.stream()).sync();
      await device.stateIs('synced');
      const answer = await capabilities(stage.reader());
      expect(answer).toMatchObject({ gnmiVersion: '0.10.0', supportedEncodings: ['JSON', 'JSON_IETF', 'PROTO'] });
      expect(answer.supportedModels).toEqual(expect.arrayContaining(models));
    },
  },
  {
    id: 'server/set',
    title: 'Set is answered UNIMPLEMENTED at once, with text',
    rules: 'S8',
    run: (stage) => fails(stage.reader().unary('Set', gnmi.SetRequest.encode({})), status.UNIMPLEMENTED, /no Set/),
  },
  {
    id: 'server/get-paths',
    title: 'Get answers a notification per path, in the order asked and not merged, with the time of the answer',
    rules: 'G1 G2 N4',
    run: async (stage) => {
      const { device, reader } = await withPorts(stage);
      const beforeNs = BigInt(Date.now()) * 1_000_000n;
      const { notification } = await get(reader, device.name, ['/sys', '/if[name=b]', '/sys/name']);
      expect(notification.map(told)).toEqual([['/sys/name="x"'], ['/if[name=b]/state/in="3"'], ['/sys/name="x"']]);
      for (const { timestamp, prefix } of notification) {
        expect(timestamp).toBeGreaterThanOrEqual(beforeNs - 1_000_000n);
        expect(prefix?.target).toBe(device.name);
      }
    },
  },
  {
    id: 'server/get-wildcards',
    title: 'Get honours wildcards: elements, key values, omitted keys, any depth',
    rules: 'G6 P7 P8',
    run: async (stage) => {
      const { device, reader } = await withPorts(stage);
      const ask = async (path: string) => (await get(reader, device.name, [path])).notification.flatMap(told).sort();
      const ins = ['/if[name=a]/state/in="1"', '/if[name=b]/state/in="3"'];
      expect(await ask('/if[name=*]/state/in')).toEqual(ins);
      expect(await ask('/if/state/in')).toEqual(ins);
      expect(await ask('/*/state/in')).toEqual(ins);
      expect(await ask('/.../in')).toEqual(ins);
    },
  },
  {
    id: 'server/get-json',
    title:
      'JSON of a container is one nested object, lists as arrays with their keys as leaves; of a leaf a bare value',
    rules: 'G5 E7',
    run: async (stage) => {
      const { device, reader } = await withPorts(stage);
      const ask = async (path: string): Promise<unknown> => {
        const { notification } = await get(reader, device.name, [path], { encoding: 'JSON' });
        const [{ update } = { update: [] }] = notification;
        expect([notification.length, update.length]).toEqual([1, 1]);
        expect(decodeTypedValue(update[0]?.val ?? Buffer.alloc(0))?.kind).toBe('json');
        return jsonOf(update[0]?.val);
      };
      expect(await ask('/sys')).toEqual({ name: 'x' });
      expect(await ask('/sys/name')).toBe('x');
      const all = (await ask('/')) as { if: unknown };
      expect(all.if).toEqual([
        { name: 'a', state: { in: 1, up: true } },
        { name: 'b', state: { in: 3 } },
      ]);
    },
  },
  {
    id: 'server/get-exact',
    title: 'values of PROTO are those of the device, byte for byte, and JSON_IETF has 64-bit integers as strings',
    rules: 'V2 V3 V7 V11 E6',
    run: async (stage) => {
      const device = await stage.synced();
      device.send({
        t: 1,
        set: { '/v/u': 18446744073709551615n, '/v/d': { kind: 'decimal', digits: -9007199254740993n, precision: 3 } },
      });
      await device.settled();
      const reader = stage.reader();
      const proto = (await get(reader, device.name, ['/v'])).notification[0]?.update ?? [];
      expect(proto.map(({ val }) => decodeTypedValue(val ?? Buffer.alloc(0)))).toEqual(
        expect.arrayContaining([
          { kind: 'uint', value: 18446744073709551615n },
          { kind: 'decimal', digits: -9007199254740993n, precision: 3 },
        ]),
      );
      const ietf = await get(reader, device.name, ['/v'], { encoding: 'JSON_IETF' });
      expect(jsonOf(ietf.notification[0]?.update[0]?.val)).toEqual({
        u: '18446744073709551615',
        d: '-9007199254740.993',
      });
    },
  },
  {
    id: 'server/get-absent',
    title: 'an absent path and an unknown device are NOT_FOUND, no target is INVALID_ARGUMENT',
    rules: 'G3 S15',
    run: async (stage) => {
      const { device, reader } = await withPorts(stage);
      await fails(get(reader, device.name, ['/not/there']), status.NOT_FOUND, /not\/there/);
      await fails(get(reader, 'nobody', ['/']), status.NOT_FOUND, /nobody/);
      await fails(get(reader, '', ['/']), status.INVALID_ARGUMENT, /name a device, or \*/);
    },
  },
  {
    id: 'server/get-unsupported',
    title: 'a type other than ALL, use_models and an encoding not on offer are UNIMPLEMENTED, never ignored',
    rules: 'G4 E5 E9',
    run: async (stage) => {
      const { device, reader } = await withPorts(stage);
      const ask = (more: Parameters<typeof get>[3]) => get(reader, device.name, ['/sys'], more);
      await fails(ask({ type: 'CONFIG' }), status.UNIMPLEMENTED, /CONFIG/);
      await fails(
        ask({ useModels: [{ name: 'm', organization: '', version: '' }] }),
        status.UNIMPLEMENTED,
        /use_models/,
      );
      await fails(ask({ encoding: 'ASCII' }), status.UNIMPLEMENTED, /ASCII is not supported; offered are JSON/);
    },
  },
  {
    id: 'server/get-origins',
    title: 'origin in prefix and in path, or in a path below prefix elements, is INVALID_ARGUMENT',
    rules: 'N8 N9',
    run: async (stage) => {
      const { device, reader } = await withPorts(stage);
      const target = device.name;
      const ask = (prefix: string) =>
        get(reader, target, ['openconfig:/sys'], { prefix: { ...parsePath(prefix), target } });
      await fails(ask('openconfig:/'), status.INVALID_ARGUMENT, /origin/);
      await fails(ask('/sys'), status.INVALID_ARGUMENT, /origin/);
      const { notification } = await get(reader, target, ['openconfig:/sys']);
      expect(notification[0]?.update[0]?.path?.origin).toBe('openconfig');
    },
  },
  {
    id: 'server/get-prefix',
    title: 'a prefix with elements is joined with each path',
    rules: 'N1',
    run: async (stage) => {
      const { device, reader } = await withPorts(stage);
      const prefix = { ...parsePath('/if[name=a]'), target: device.name };
      const { notification } = await get(reader, device.name, ['/state/in'], { prefix });
      expect(notification.flatMap(told)).toEqual(['/if[name=a]/state/in="1"']);
    },
  },
  {
    id: 'server/get-depth',
    title: 'depth n answers n levels, 0 all of them; with Capabilities it is an error',
    rules: 'G5 S8',
    run: async (stage) => {
      const device = await stage.synced();
      device.send({ t: 1, set: { '/a/x': 1, '/a/b/y': 2, '/a/b/c/z': 3 } });
      await device.settled();
      const reader = stage.reader();
      const ask = async (level: number) =>
        (await get(reader, device.name, ['/a'], { extension: [{ depth: { level } }] })).notification
          .flatMap(told)
          .sort();
      expect(await ask(1)).toEqual(['/a/x="1"']);
      expect(await ask(2)).toEqual(['/a/b/y="2"', '/a/x="1"']);
      expect(await ask(0)).toHaveLength(3);
      const request = gnmi.CapabilityRequest.encode({ extension: [{ depth: { level: 1 } }] });
      await fails(reader.unary('Capabilities', request), status.INVALID_ARGUMENT, /depth/);
    },
  },
  {
    id: 'server/get-too-big',
    title: 'an answer beyond the limit is RESOURCE_EXHAUSTED and points to Subscribe ONCE, which sends it',
    rules: 'G7 M1',
    run: async (stage) => {
      const device = await stage.synced();
      const value = 'x'.repeat(100_000);
      for (let n = 0; n < 6; n += 1) device.send({ t: 1, set: { [`/big/n${n}`]: value } });
      await device.settled();
      const reader = stage.reader();
      await fails(get(reader, device.name, ['/big']), status.RESOURCE_EXHAUSTED, /Subscribe with mode ONCE/);
      const once = reader.subscribe(list(device.name, ['/big']));
      expect((await once.ended()).code).toBe(status.OK);
      expect(once.leaves.size).toBe(6);
    },
  },
  {
    id: 'server/get-atomic',
    title: 'Get answers an atomic group whole, as a notification of its own under its prefix',
    rules: 'A10',
    run: async (stage) => {
      const device = await stage.synced();
      device.send({ t: 1, set: { '/c/plain': 1 } }, { t: 2, prefix: '/c/g', atomic: true, set: { '/x': 1, '/y': 2 } });
      await device.settled();
      const { notification } = await get(stage.reader(), device.name, ['/c']);
      expect(notification.map(({ atomic }) => atomic)).toEqual([false, true]);
      expect(formatElems(notification[1]?.prefix?.elems ?? [])).toBe('/c/g');
      expect(notification[1] && told(notification[1]).sort()).toEqual(['/c/g/x="1"', '/c/g/y="2"']);
    },
  },
  {
    id: 'server/meta',
    title: 'the health of a device is below /meta; a device’s own leaves of that name are not answered there',
    rules: 'N5 T17',
    run: async (stage) => {
      const device = await stage.synced();
      device.send({ t: 5, set: { '/meta/sync': 'mine', '/meta/other': 1, '/a': 1 } });
      await device.settled();
      const ask = async () => {
        const { notification } = await get(stage.reader(), device.name, ['/meta']);
        return notification.flatMap(({ update }) =>
          update.map(({ path, val }) => [formatElems(path?.elems ?? []), jsonOf(val)]),
        );
      };
      const meta = Object.fromEntries(await ask()) as Record<string, unknown>;
      expect(meta).toMatchObject({ '/meta/sync': true, '/meta/connected': true });
      expect(meta).toMatchObject({ '/meta/connectedAddress': device.scripted.address });
      expect(Object.keys(meta)).not.toContain('/meta/other');
      device.scripted.stop();
      await eventually('not connected', 20_000, async () => {
        const now = Object.fromEntries(await ask()) as Record<string, unknown>;
        return now['/meta/sync'] === false && now['/meta/connected'] === false && '/meta/connectError' in now;
      });
    },
  },
  {
    id: 'server/unknown-extension',
    title: 'an extension that we do not know changes nothing',
    rules: 'N17 S8',
    run: async (stage) => {
      const { device, reader } = await withPorts(stage);
      const extension = [{ registeredExt: { id: 999, msg: Buffer.from('x') } }];
      const { notification } = await get(reader, device.name, ['/sys'], { extension });
      expect(notification.flatMap(told)).toEqual(['/sys/name="x"']);
      const once = reader.subscribe({ ...list(device.name, ['/sys']), extension });
      expect((await once.ended()).code).toBe(status.OK);
      expect(once.leaves.size).toBe(1);
    },
  },
  {
    id: 'server/limits',
    title: '10,000 subscriptions in one request, and a path of 10,000 elements, are refused with what is allowed',
    rules: 'S8',
    run: async (stage) => {
      const { device, reader } = await withPorts(stage);
      const paths = Array.from({ length: 10_000 }, (_, n) => `/p${n}`);
      await refuses(reader, list(device.name, paths), status.RESOURCE_EXHAUSTED, /10000 paths.*at most 1000/);
      const deep = {
        ...rootPath,
        elems: Array.from({ length: 10_000 }, () => ({ name: 'e', keys: new Map<string, string>() })),
      };
      await fails(get(reader, device.name, [], { path: [deep] }), status.INVALID_ARGUMENT, /10000 elements/);
      expect((await get(reader, device.name, ['/sys'])).notification).toHaveLength(1);
    },
  },
  {
    id: 'server/tls',
    title: 'with TLS configured a client with a certificate of the right CA is served over TLS',
    rules: 'T1 T3',
    run: async (stage) => {
      const { ca, cert, key } = await texts(stage);
      const reader = stage.reader({ channel: credentials.createSsl(ca, key, cert) }, secureInstance);
      expect((await capabilities(reader)).gnmiVersion).toBe('0.10.0');
    },
  },
  {
    id: 'server/tls-refused',
    title: 'a client without certificate, and one in plaintext, are refused',
    rules: 'T1 T3',
    run: async (stage) => {
      const { ca } = await texts(stage);
      for (const channel of [credentials.createSsl(ca), credentials.createInsecure()]) {
        await fails(capabilities(stage.reader({ channel }, secureInstance)), status.UNAVAILABLE, /./);
      }
    },
  },
  {
    id: 'server/tls-version',
    title: 'a client with nothing newer than TLS 1.1 is refused in the handshake',
    rules: 'T2',
    run: async (stage) => {
      const [host = '', port = ''] = stage.stack.gnmi(secureInstance).split(':');
      const { ca, cert, key } = await texts(stage);
      const handshake = (maxVersion: 'TLSv1.1' | 'TLSv1.2'): Promise<string> =>
        new Promise((resolve) => {
          const options = { host, port: Number(port), ca, cert, key, minVersion: 'TLSv1' as const, maxVersion };
          const socket = connect({ ...options, ciphers: 'DEFAULT@SECLEVEL=0', ALPNProtocols: ['h2'] }, () => {
            resolve(socket.getProtocol() ?? '');
            socket.destroy();
          });
          socket.once('error', (thrown: NodeJS.ErrnoException) => resolve(thrown.code ?? thrown.message));
        });
      expect(await handshake('TLSv1.1')).toMatch(/PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|ECONNRESET/);
      expect(await handshake('TLSv1.2')).toBe('TLSv1.2');
    },
  },
];
