/** Subscribe of query-api's gNMI service: what is refused, what an RPC is about, and how it ends. */
import { expect } from '@jest/globals';
import { credentials, status } from '@grpc/grpc-js';
import { parsePath, rootPath } from '../../schemas/path.ts';
import { eventually } from '../support/eventually.ts';
import { type Scenario } from './scenario.ts';
import { secureInstance } from './stage.ts';
import { holds, list, notifications, refuses, stream, toldTo } from './server-request.ts';

export const serverRpc: readonly Scenario[] = [
  {
    id: 'server/first-message',
    title: 'a Poll first, an empty message first, or none at all, is INVALID_ARGUMENT',
    rules: 'S1',
    run: async (stage) => {
      const reader = stage.reader();
      await refuses(reader, { poll: {} }, status.INVALID_ARGUMENT, /first message/);
      await refuses(reader, {}, status.INVALID_ARGUMENT, /first message/);
      const silent = reader.subscribe();
      silent.call.end();
      expect((await silent.ended()).code).toBe(status.INVALID_ARGUMENT);
    },
  },
  {
    id: 'server/second-list',
    title: 'a second list on one RPC is INVALID_ARGUMENT; another RPC of the same channel is untouched',
    rules: 'S2 S4',
    run: async (stage) => {
      const device = await stage.synced();
      const reader = stage.reader();
      const [bad, good] = [
        reader.subscribe(stream(device.name, ['/a'])),
        reader.subscribe(stream(device.name, ['/a'])),
      ];
      await Promise.all([bad.synced(), good.synced()]);
      bad.send(stream(device.name, ['/b']));
      expect(await bad.ended()).toMatchObject({
        code: status.INVALID_ARGUMENT,
        details: expect.stringContaining('second'),
      });
      device.send({ t: 1, set: { '/a': 1 } });
      await good.until('the change', () => toldTo(good).includes('/a="1"'));
    },
  },
  {
    id: 'server/empty-list',
    title: 'an empty subscription list is INVALID_ARGUMENT',
    rules: 'S3',
    run: async (stage) => {
      const device = await stage.synced();
      await refuses(stage.reader(), list(device.name, []), status.INVALID_ARGUMENT, /empty/);
    },
  },
  {
    id: 'server/unsupported',
    title: 'use_models and an encoding not on offer are UNIMPLEMENTED, with what is on offer',
    rules: 'E5 E9',
    run: async (stage) => {
      const device = await stage.synced();
      const reader = stage.reader();
      const useModels = [{ name: 'm', organization: '', version: '' }];
      await refuses(reader, list(device.name, ['/'], { useModels }), status.UNIMPLEMENTED, /use_models/);
      await refuses(
        reader,
        list(device.name, ['/'], { encoding: 'BYTES' }),
        status.UNIMPLEMENTED,
        /offered are JSON, JSON_IETF, PROTO/,
      );
    },
  },
  {
    id: 'server/default-encoding',
    title: 'no encoding means JSON: each leaf a bare JSON value',
    rules: 'E4 E7 E8',
    run: async (stage) => {
      const device = await stage.synced();
      device.send({ t: 1, set: { '/a': 'text', '/b': true } });
      await device.settled();
      const once = stage.reader().subscribe(list(device.name, ['/a', '/b'], { encoding: 'JSON' }));
      await once.ended();
      expect([...once.leaves.values()].map(({ value }) => value?.kind)).toEqual(['json', 'json']);
      expect(holds(once)).toEqual({ '/a': 'text', '/b': true });
    },
  },
  {
    id: 'server/target',
    title: 'no target is INVALID_ARGUMENT, an unknown device NOT_FOUND',
    rules: 'S15',
    run: async (stage) => {
      await refuses(stage.reader(), list('', ['/']), status.INVALID_ARGUMENT, /name a device, or \*/);
      await refuses(stage.reader(), list('nobody', ['/']), status.NOT_FOUND, /nobody/);
    },
  },
  {
    id: 'server/target-in-path',
    title: 'a target in a path is INVALID_ARGUMENT: it belongs in the prefix',
    rules: 'N4',
    run: async (stage) => {
      const device = await stage.synced();
      const subscription = [{ path: { ...parsePath('/a'), target: device.name } }];
      await refuses(stage.reader(), list(device.name, [], { subscription }), status.INVALID_ARGUMENT, /prefix/);
    },
  },
  {
    id: 'server/target-echoed',
    title: 'the target is in every response’s prefix; for `*` each device’s own name',
    rules: 'N4 S15',
    run: async (stage) => {
      const devices = [await stage.synced(), await stage.synced()];
      for (const device of devices) {
        device.send({ t: 1, set: { '/echoed/v': 1 } });
        await device.settled();
      }
      const targets = async (target: string) => {
        const once = stage.reader().subscribe(list(target, ['/echoed']));
        await once.ended();
        return notifications(once).map(({ prefix }) => prefix?.target);
      };
      const names = devices.map(({ name }) => name);
      expect(await targets(names[0] ?? '')).toEqual([names[0]]);
      expect((await targets('*')).sort()).toEqual([...names].sort());
    },
  },
  {
    id: 'server/all-devices-later',
    title: 'a stream of `*` has a device that is added later, and its delete when it is removed',
    rules: 'S15 D12',
    run: async (stage) => {
      const all = stage.reader().subscribe(stream('*', ['/later']));
      await all.synced();
      const device = await stage.synced();
      device.send({ t: 1, set: { '/later/v': 1 } });
      const of = () => notifications(all).filter(({ prefix }) => prefix?.target === device.name);
      await all.until('its leaf', () => of().some(({ update }) => update.length > 0), 20_000);
      await device.remove();
      await all.until('its delete', () => of().some((one) => one.delete.length > 0), 20_000);
      expect(all.end).toBeNull();
    },
  },
  {
    id: 'server/device-removed',
    title: 'when its device is removed a stream is told the delete of everything, and closed with NOT_FOUND',
    rules: 'D12',
    run: async (stage) => {
      const device = await stage.synced();
      device.send({ t: 1, set: { '/a': 1, '/b': 2 } });
      await device.settled();
      const changes = stage.reader().subscribe(stream(device.name, ['/a', '/b']));
      await changes.synced();
      await device.remove();
      expect((await changes.ended()).code).toBe(status.NOT_FOUND);
      expect(holds(changes)).toEqual({});
    },
  },
  {
    id: 'server/origins',
    title:
      'the origin of a request is echoed where it stood; said twice, or below prefix elements, it is INVALID_ARGUMENT',
    rules: 'N7 N8 N9',
    run: async (stage) => {
      const device = await stage.synced();
      device.send({ t: 1, set: { 'vendor:/a': 1, '/a': 2 } });
      await device.settled();
      const ask = async (prefix: string, path: string) => {
        const named = { prefix: { ...parsePath(prefix), target: device.name } };
        const once = stage.reader().subscribe(list(device.name, [path], named));
        const end = await once.ended();
        const [{ prefix: said, update } = { prefix: rootPath, update: [] }] = notifications(once);
        return [end.code, said?.origin ?? '', update[0]?.path?.origin ?? '', Object.values(holds(once))];
      };
      expect(await ask('vendor:/', '/a')).toEqual([status.OK, 'vendor', '', ['1']]);
      expect(await ask('/', 'vendor:/a')).toEqual([status.OK, '', 'vendor', ['1']]);
      expect(await ask('/', '/a')).toEqual([status.OK, '', '', ['2']]);
      expect((await ask('vendor:/', 'vendor:/a'))[0]).toBe(status.INVALID_ARGUMENT);
      expect((await ask('/x', 'vendor:/a'))[0]).toBe(status.INVALID_ARGUMENT);
    },
  },
  {
    id: 'server/half-close',
    title: 'a client that will say no more still reads its STREAM',
    rules: 'S1 M3',
    run: async (stage) => {
      const device = await stage.synced();
      const changes = stage.reader().subscribe(stream(device.name, ['/a']));
      changes.call.end();
      await changes.synced();
      device.send({ t: 1, set: { '/a': 1 } });
      await changes.until('the change', () => toldTo(changes).includes('/a="1"'));
      expect(changes.end).toBeNull();
    },
  },
  {
    id: 'server/poll-on-stream',
    title: 'a Poll on an RPC that is not in mode POLL is INVALID_ARGUMENT',
    rules: 'S1 M2',
    run: async (stage) => {
      const device = await stage.synced();
      const changes = stage.reader().subscribe(stream(device.name, ['/a']));
      await changes.synced();
      changes.send({ poll: {} });
      expect((await changes.ended()).code).toBe(status.INVALID_ARGUMENT);
    },
  },
  {
    id: 'server/cancel',
    title: 'a cancelled RPC is gone at once: 50 of them leave no stream behind',
    rules: 'S6',
    run: async (stage) => {
      const device = await stage.synced();
      const name = 'holdfast_query_api_gnmi_rpcs_total';
      const cancelled = () => stage.counter('query-api-1', name, 'rpc="Subscribe",code="CANCELLED"');
      const before = await cancelled();
      const reader = stage.reader();
      const each = { mode: 'SAMPLE' as const, sampleInterval: 100_000_000n };
      const streams = Array.from({ length: 50 }, () => reader.subscribe(stream(device.name, ['/a'], each)));
      await Promise.all(streams.map((one) => one.synced()));
      for (const one of streams) one.cancel();
      await eventually('the ends', 10_000, async () => (await cancelled()) >= before + 50);
    },
  },
  {
    id: 'server/two-instances',
    title: 'a change reaches the readers of another instance as well',
    rules: 'M3 T3',
    run: async (stage) => {
      const { authority, client } = await stage.certificates();
      const channel = credentials.createSsl(
        Buffer.from(authority.cert),
        Buffer.from(client.key),
        Buffer.from(client.cert),
      );
      const device = await stage.synced();
      const changes = await eventually('the device is known there', 10_000, async () => {
        const one = stage.reader({ channel }, secureInstance).subscribe(stream(device.name, ['/a']));
        await one.synced();
        return one;
      });
      device.send({ t: 1, set: { '/a': 1 } });
      await changes.until('the change', () => toldTo(changes).includes('/a="1"'));
    },
  },
];
