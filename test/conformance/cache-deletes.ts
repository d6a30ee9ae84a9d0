/** What goes away, and what must not. */
import { expect } from '@jest/globals';
import { type Note } from './message.ts';
import { type Scenario } from './scenario.ts';

/** Plays the notes in order and expects these leaves; `record`: of the device. */
export function story(
  id: string,
  rules: string,
  title: string,
  notes: readonly Note[],
  expected: Readonly<Record<string, unknown>>,
  more: { readonly record?: object; readonly origins?: readonly string[] } = {},
): Scenario {
  return {
    id: `cache/${id}`,
    title,
    rules,
    run: async (stage) => {
      const device = await stage.synced(more.record);
      device.send(...notes);
      expect(await device.state(...(more.origins ?? []))).toEqual(expected);
    },
  };
}

const ports = { '/if[name=a]/state/in': 1, '/if[name=a]/state/out': 2, '/if[name=b]/state/in': 3, '/sys/name': 'x' };
const b = { '/if[name=b]/state/in': '3', '/sys/name': 'x' };
const all = { '/if[name=a]/state/in': '1', '/if[name=a]/state/out': '2', ...b };

export const cacheDeletes: readonly Scenario[] = [
  story(
    'delete-leaf',
    'D1',
    'a delete of a leaf removes that leaf',
    [
      { t: 1, set: { '/a/x': 1, '/a/y': 2 } },
      { t: 2, del: ['/a/x'] },
    ],
    { '/a/y': '2' },
  ),
  story(
    'delete-container',
    'D1',
    'a delete of a list entry removes everything beneath it, and nothing beside it',
    [
      { t: 1, set: ports },
      { t: 2, del: ['/if[name=a]'] },
    ],
    b,
  ),
  story(
    'delete-name-boundary',
    'D1 N6',
    'a delete of `/a/b` leaves `/a/bc` and `/a/b-c` alone',
    [
      { t: 1, set: { '/a/b/x': 1, '/a/bc/x': 2, '/a/b-c': 3 } },
      { t: 2, del: ['/a/b'] },
    ],
    { '/a/bc/x': '2', '/a/b-c': '3' },
  ),
  story(
    'delete-prefix',
    'D2',
    'delete paths are joined with the prefix',
    [
      { t: 1, set: ports },
      { t: 2, prefix: '/if[name=a]', del: ['/state/in'] },
    ],
    { '/if[name=a]/state/out': '2', ...b },
  ),
  story(
    'delete-prefix-alone',
    'D1 D2',
    'an empty delete path below a prefix means everything of the prefix',
    [
      { t: 1, set: ports },
      { t: 2, prefix: '/if[name=a]', del: ['/'] },
    ],
    b,
  ),
  story(
    'replace',
    'D4',
    'delete and update of one subtree in one message leave exactly the updates',
    [
      { t: 1, set: ports },
      { t: 2, del: ['/if[name=a]'], set: { '/if[name=a]/state/in': 9 } },
    ],
    { '/if[name=a]/state/in': '9', ...b },
  ),
  story(
    'replace-same-time',
    'D4',
    'a replace that uses the old time again still removes what it does not bring back',
    [
      { t: 5, set: ports },
      { t: 5, del: ['/if[name=a]'], set: { '/if[name=a]/state/in': 1 } },
    ],
    { '/if[name=a]/state/in': '1', ...b },
  ),
  story(
    'delete-same-time',
    'D6',
    'a lone delete removes only what is strictly older than itself',
    [
      { t: 5, set: { '/a': 1 } },
      { t: 4, set: { '/b': 1 } },
      { t: 5, del: ['/a', '/b'] },
    ],
    { '/a': '1' },
  ),
  story(
    'delete-late',
    'D6',
    'a delete that comes late does not remove the newer leaf',
    [
      { t: 9, set: { '/a': 1 } },
      { t: 5, del: ['/a'] },
    ],
    { '/a': '1' },
  ),
  story(
    'update-after-delete',
    'D7',
    'a late update, older than a delete, does not bring the leaf back',
    [
      { t: 1, set: { '/a/x': 1 } },
      { t: 9, del: ['/a'] },
      { t: 5, set: { '/a/x': 2, '/a/new': 3 } },
    ],
    {},
  ),
  story(
    'update-at-delete',
    'D7',
    'an update as old as the delete, or newer, is accepted',
    [
      { t: 1, set: { '/a/x': 1, '/a/y': 1 } },
      { t: 9, del: ['/a'] },
      { t: 9, set: { '/a/x': 2 } },
      { t: 10, set: { '/a/y': 3 } },
    ],
    { '/a/x': '2', '/a/y': '3' },
  ),
  story(
    'delete-root-ignored',
    'D8 N2',
    'a delete of the empty path is ignored, as some devices send it beside every update',
    [
      { t: 1, set: ports },
      { t: 2, del: ['/'], set: { '/sys/name': 'x' } },
    ],
    all,
  ),
  story(
    'delete-root-honoured',
    'D8',
    'with honourRootDelete it removes everything of its origin and of no other',
    [
      { t: 1, set: { ...ports, 'cli:/show': 'text' } },
      { t: 2, del: ['/'] },
    ],
    { 'cli:/show': 'text' },
    { record: { honourRootDelete: true }, origins: ['cli'] },
  ),
  story(
    'delete-wildcard-key',
    'D9 P7 P9',
    'a delete with key value `*` takes that leaf of all entries',
    [
      { t: 1, set: ports },
      { t: 2, del: ['/if[name=*]/state/in'] },
    ],
    { '/if[name=a]/state/out': '2', '/sys/name': 'x' },
  ),
  story(
    'delete-omitted-key',
    'D9 P7',
    'a delete with an omitted key takes all entries',
    [
      { t: 1, set: ports },
      { t: 2, del: ['/if'] },
    ],
    { '/sys/name': 'x' },
  ),
  story(
    'delete-omitted-inner-key',
    'D9 P7',
    'keys may be omitted in the middle, and given and omitted ones mix',
    [
      { t: 1, set: { '/l[a=1][b=1]/v': 1, '/l[a=1][b=2]/v': 2, '/l[a=2][b=1]/v': 3 } },
      { t: 2, del: ['/l[a=1]/v'] },
    ],
    { '/l[a=2][b=1]/v': '3' },
  ),
  story(
    'delete-wildcard-element',
    'D9 P7',
    'element `*` stands for one level, not for none and not for two',
    [
      { t: 1, set: { '/a/1/x': 1, '/a/2/x': 2, '/a/x': 3, '/a/1/2/x': 4 } },
      { t: 2, del: ['/a/*/x'] },
    ],
    { '/a/x': '3', '/a/1/2/x': '4' },
  ),
  story(
    'delete-any-depth',
    'D9 P7',
    'element `...` stands for any number of levels',
    [
      { t: 1, set: { '/a/1/x': 1, '/a/x': 3, '/a/1/2/x': 4, '/a/1/y': 5 } },
      { t: 2, del: ['/a/.../x'] },
    ],
    { '/a/1/y': '5' },
  ),
  story(
    'delete-other-origin',
    'D1 N6',
    'a delete in one origin leaves the same path of another alone',
    [
      { t: 1, set: { '/a': 1, 'vendor:/a': 2 } },
      { t: 2, del: ['vendor:/a'] },
    ],
    { '/a': '1' },
    { origins: ['vendor'] },
  ),
  story(
    'delete-of-nothing',
    'D1',
    'a delete of what is not there changes nothing',
    [
      { t: 1, set: { '/a': 1 } },
      { t: 2, del: ['/b', '/a/b', '/a[k=v]'] },
    ],
    { '/a': '1' },
  ),
  {
    id: 'cache/device-removed',
    title: 'a device taken out of the configuration is unknown to readers, and its session is closed',
    rules: 'D12',
    run: async (stage) => {
      const device = await stage.synced();
      device.send({ t: 1, set: ports });
      expect(await device.state()).toEqual(all);
      expect((await device.remove()).status).toBe(204);
      await device.scripted.streams[0]?.closed();
      const { status, text } = await stage.ask(`/api/v1/devices/${device.name}/state`);
      expect([status, (JSON.parse(text) as { code: string }).code]).toEqual([404, 'DEVICE_UNKNOWN']);
    },
  },
  {
    id: 'cache/device-back',
    title: 'a device that is removed and comes back begins with nothing of its former life',
    rules: 'D12 D7',
    run: async (stage) => {
      const device = await stage.synced();
      device.send({ t: 1, set: ports });
      await device.settled();
      await device.remove();
      await device.scripted.streams[0]?.closed();
      await device.put();
      (await device.stream(1)).sync();
      device.send({ t: 1, set: { '/sys/name': 'y' } });
      expect(await device.state()).toEqual({ '/sys/name': 'y' });
    },
  },
];
