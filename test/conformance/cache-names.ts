/** Names: which node an update is about, however strangely a device writes it. */
import { expect } from '@jest/globals';
import { encodeTypedValue } from '../../schemas/value.ts';
import { story } from './cache-deletes.ts';
import { message, note, rawNotification } from './message.ts';
import { type Scenario } from './scenario.ts';

const one = encodeTypedValue({ kind: 'uint', value: 1n });
const elem = (name: string, keys: readonly (readonly [string, string])[] = []) => ({ name, keys: new Map(keys) });
const path = (...elems: ReturnType<typeof elem>[]) => ({ elems });

export const cacheNames: readonly Scenario[] = [
  story(
    'prefix',
    'N1',
    'a path is the prefix’s elements and its own, either of which may be empty',
    [
      { t: 1, prefix: '/a/b', set: { '/c': 1 } },
      { t: 2, prefix: '/a/b/d', set: { '/': 2 } },
      { t: 3, prefix: '/', set: { '/e': 3 } },
    ],
    { '/a/b/c': '1', '/a/b/d': '2', '/e': '3' },
  ),
  story(
    'origin-anywhere',
    'N6 N7',
    'origin in the prefix, in the path, or not said: the same leaf of openconfig',
    [
      { t: 1, set: { '/a/x': 1 } },
      { t: 2, prefix: 'openconfig:/a', set: { '/x': 2 } },
      { t: 3, set: { 'openconfig:/a/x': 3 } },
    ],
    { '/a/x': '3' },
  ),
  story(
    'origins-apart',
    'N6 N7',
    'one path in two origins is two leaves',
    [
      { t: 1, set: { '/a': 1 } },
      { t: 1, prefix: 'vendor:/', set: { '/a': 2 } },
    ],
    { '/a': '1', 'vendor:/a': '2' },
    { origins: ['vendor'] },
  ),
  story(
    'origin-cli',
    'N10',
    'the origin cli is kept: its path says the command, its value is text',
    [{ t: 1, set: { 'cli:/show version': { kind: 'ascii', value: 'v1\n' } } }],
    { 'cli:/show version': 'v1\n' },
    { origins: ['cli'] },
  ),
  story(
    'keys-are-not-names',
    'N6',
    'a key is not a name: `/a/b[k=c]/d`, `/a/b/c/d` and `/a/b[k=d]/d` are three leaves',
    [{ t: 1, set: { '/a/b[k=c]/d': 1, '/a/b/c/d': 2, '/a/b[k=d]/d': 3 } }],
    { '/a/b[k=c]/d': '1', '/a/b/c/d': '2', '/a/b[k=d]/d': '3' },
  ),
  story(
    'key-characters',
    'P1 P2 P3',
    'key values may hold slashes, brackets, equals signs, colons, quotes, blanks, or nothing',
    [
      {
        t: 1,
        set: {
          '/i[n=Ethernet1/2/3]/x': 1,
          '/i[n=2001:db8::1/64]/x': 2,
          '/i[n=a=b]/x': 3,
          '/i[n=\\]]/x': 4,
          '/i[n=[\\\\]/x': 5,
          '/i[n= "q" ]/x': 6,
          '/i[n=]/x': 7,
        },
      },
    ],
    {
      '/i[n=Ethernet1/2/3]/x': '1',
      '/i[n=2001:db8::1/64]/x': '2',
      '/i[n=a=b]/x': '3',
      '/i[n=\\]]/x': '4',
      '/i[n=[\\\\]/x': '5',
      '/i[n= "q" ]/x': '6',
      '/i[n=]/x': '7',
    },
  ),
  story(
    'keys-in-any-order',
    'P4',
    'keys in any order are one leaf',
    [
      { t: 1, set: { '/l[b=2][a=1]/x': 1 } },
      { t: 2, set: { '/l[a=1][b=2]/x': 2 } },
    ],
    { '/l[a=1][b=2]/x': '2' },
  ),
  story(
    'names-with-slashes',
    'P4',
    'names with slashes and brackets are escaped, and are not taken for two elements',
    [{ t: 1, set: { '/a\\/b/c': 1, '/a/b/c': 2, '/a\\[b\\]/c': 3 } }],
    { '/a\\/b/c': '1', '/a/b/c': '2', '/a\\[b\\]/c': '3' },
  ),
  story(
    'unusual-names',
    'N18 L6',
    '`__proto__`, `constructor` and `toString` are names, keys and key names like any other',
    [
      {
        t: 1,
        set: {
          '/__proto__/constructor': 1,
          '/l[__proto__=toString]/hasOwnProperty': 2,
          '/l[constructor=__proto__]/x': 3,
        },
      },
    ],
    {
      ['/__proto__/constructor']: '1',
      '/l[__proto__=toString]/hasOwnProperty': '2',
      '/l[constructor=__proto__]/x': '3',
    },
  ),
  story(
    'wildcard-update',
    'P9',
    'an update with a wildcard is a data error: skipped, the others are kept',
    [{ t: 1, set: { '/a/*': 1, '/l[k=*]/x': 2, '/.../y': 3, '/ok': 4 } }],
    { '/ok': '4' },
  ),
  story(
    'value-above-leaves',
    'G5 N6',
    'a value at a node with leaves below: both are kept',
    [
      { t: 1, set: { '/a/x': 1 } },
      { t: 2, set: { '/a': { kind: 'json', value: Buffer.from('{"x":1}') } } },
    ],
    { '/a': { x: 1 }, '/a/x': '1' },
  ),
  {
    id: 'cache/empty-name',
    title: 'elements with an empty name but keys are kept apart row by row, and an empty element is not the root',
    rules: 'N2 N3',
    run: async (stage) => {
      const device = await stage.synced();
      const rows = ['1', '2'].map((key) => ({ path: path(elem('t'), elem('', [['k', key]]), elem('x')), val: one }));
      device.send(note({ t: 1, updates: [...rows, { path: path(elem('')), val: one }] }));
      expect(await device.state()).toEqual({ '/t/[k=1]/x': '1', '/t/[k=2]/x': '1', '//': '1' });
    },
  },
  {
    id: 'cache/empty-key-name',
    title: 'an update whose key has no name cannot be addressed: skipped, the others are kept',
    rules: 'P6 V18',
    run: async (stage) => {
      const device = await stage.synced();
      device.send(note({ t: 1, set: { '/ok': 1 }, updates: [{ path: path(elem('l', [['', 'v']])), val: one }] }));
      expect(await device.state()).toEqual({ '/ok': '1' });
    },
  },
  {
    id: 'cache/deprecated-elements',
    title: 'the deprecated element strings are read where elem is empty',
    rules: 'N11',
    run: async (stage) => {
      const device = await stage.synced();
      const old = message([
        [1, 'a'],
        [1, 'b'],
      ]);
      device.send(
        rawNotification(1, [
          [
            4,
            message([
              [1, old],
              [3, one],
            ]),
          ],
        ]),
      );
      expect(await device.state()).toEqual({ '/a/b': '1' });
    },
  },
  {
    id: 'cache/unknown-fields',
    title: 'unknown fields and registered extensions break nothing, and stay in the bytes of telemetry',
    rules: 'N17 L4',
    run: async (stage) => {
      const device = await stage.synced();
      const update = message([
        [
          1,
          message([
            [
              3,
              message([
                [1, 'a'],
                [9, 'new'],
              ]),
            ],
          ]),
        ],
        [3, one],
        [1000, 'x'],
      ]);
      const bytes = Buffer.concat([
        rawNotification(1, [
          [4, update],
          [77, Buffer.from('later')],
        ]),
        message([[5, message([[1, message([[2, 'juniper']])]])]]),
        message([[99, 'unknown']]),
      ]);
      device.send(bytes);
      expect(await device.state()).toEqual({ '/a': '1' });
      expect((await device.published())[0]).toEqual(bytes);
    },
  },
  {
    id: 'cache/bad-utf8',
    title: 'a string that is not UTF-8 ends nothing and is counted',
    rules: 'L5',
    run: async (stage) => {
      const device = await stage.synced();
      const bad = message([[3, message([[1, Buffer.from([0x61, 0xff, 0x62])]])]]);
      device.send(
        rawNotification(1, [
          [
            4,
            message([
              [1, bad],
              [3, one],
            ]),
          ],
        ]),
        { t: 2, set: { '/ok': 1 } },
      );
      expect(await device.state()).toEqual({ '/a\ufffdb': '1', '/ok': '1' });
    },
  },
  {
    id: 'cache/target-ignored',
    title: 'a device that calls itself something else, or nothing, is who the configuration says',
    rules: 'N5',
    run: async (stage) => {
      const [device, other] = [await stage.synced(), await stage.synced()];
      device.send({ t: 1, target: other.name, set: { '/a': 1 } }, { t: 2, target: 'nobody', set: { '/b': 2 } });
      expect(await device.state()).toEqual({ '/a': '1', '/b': '2' });
      expect(await other.state()).toEqual({});
    },
  },
];
