/** Atomic messages, by the specification's text of March 2026. */
import { expect } from '@jest/globals';
import { story } from './cache-deletes.ts';
import { type Scenario } from './scenario.ts';

const group = { t: 5, prefix: '/c', atomic: true, set: { '/x': 1, '/y': 2 } } as const;

export const cacheAtomic: readonly Scenario[] = [
  story(
    'atomic-replaces',
    'A1 A2',
    'an atomic message removes everything earlier under its prefix that is not in it',
    [{ t: 1, set: { '/c/old': 1, '/c/deep/er': 2, '/d': 3 } }, group],
    { '/c/x': '1', '/c/y': '2', '/d': '3' },
  ),
  story(
    'atomic-again',
    'A2',
    'the next atomic message of the prefix replaces the one before',
    [group, { t: 6, prefix: '/c', atomic: true, set: { '/y': 3 } }],
    { '/c/y': '3' },
  ),
  story(
    'atomic-same-time',
    'A2 D4',
    'an atomic message that uses the old time again still replaces',
    [group, { t: 5, prefix: '/c', atomic: true, set: { '/y': 3 } }],
    { '/c/y': '3' },
  ),
  story(
    'atomic-then-plain',
    'A3',
    'a later plain update below the prefix changes its leaf, the others stay',
    [group, { t: 6, set: { '/c/x': 9 } }],
    { '/c/x': '9', '/c/y': '2' },
  ),
  story(
    'atomic-plain-atomic',
    'A3 A2',
    'after a plain update the next atomic message replaces everything again',
    [group, { t: 6, set: { '/c/z': 9 } }, { t: 7, prefix: '/c', atomic: true, set: { '/x': 4 } }],
    { '/c/x': '4' },
  ),
  story(
    'atomic-deletes-only',
    'A4',
    'a message marked atomic with deletes only is just those deletes',
    [
      { t: 1, set: { '/c/x': 1, '/c/y': 2 } },
      { t: 5, prefix: '/c', atomic: true, del: ['/x'] },
    ],
    { '/c/y': '2' },
  ),
  story(
    'atomic-delete-member',
    'A5',
    'deleting one leaf of an intact atomic group removes the whole group',
    [group, { t: 1, set: { '/d': 1 } }, { t: 6, del: ['/c/x'] }],
    { '/d': '1' },
  ),
  story(
    'atomic-void-delete',
    'A3 A5',
    'when the guarantee has ended a delete removes only what it names',
    [group, { t: 6, set: { '/c/x': 9 } }, { t: 7, del: ['/c/x'] }],
    { '/c/y': '2' },
  ),
  story(
    'atomic-parent',
    'A6',
    'an atomic message on a parent prefix clears all below',
    [group, { t: 6, prefix: '/', set: { '/c/d/e': 1 } }, { t: 7, prefix: '/c', atomic: true, set: { '/d/f': 2 } }],
    { '/c/d/f': '2' },
  ),
  story(
    'atomic-child',
    'A6',
    'one on a child prefix replaces the child, and the rest of the parent stays',
    [
      { t: 5, prefix: '/c', atomic: true, set: { '/x': 1, '/d/a': 2, '/d/b': 3 } },
      { t: 6, prefix: '/c/d', atomic: true, set: { '/b': 4 } },
    ],
    { '/c/x': '1', '/c/d/b': '4' },
  ),
  story(
    'atomic-late',
    'A7',
    'a late atomic message does not clear newer leaves',
    [{ t: 9, set: { '/c/new': 1 } }, { t: 3, set: { '/c/old': 2 } }, group],
    { '/c/new': '1', '/c/x': '1', '/c/y': '2' },
  ),
  story(
    'plain-before-atomic',
    'A7 D7',
    'a plain update older than the atomic message is discarded',
    [group, { t: 4, set: { '/c/x': 9, '/c/z': 9 } }],
    { '/c/x': '1', '/c/y': '2' },
  ),
  story(
    'atomic-empty',
    'A8',
    'an atomic message with nothing in it clears everything under its prefix',
    [
      { t: 1, set: { '/c/x': 1, '/d': 2 } },
      { t: 5, prefix: '/c', atomic: true },
    ],
    { '/d': '2' },
  ),
  story(
    'atomic-root',
    'A1 D8',
    'one without a prefix is read as a plain message, as with a delete of the root',
    [
      { t: 1, set: { '/c/x': 1, '/d': 2 } },
      { t: 5, atomic: true, set: { '/d': 3 } },
    ],
    { '/c/x': '1', '/d': '3' },
  ),
  story(
    'atomic-list-entry',
    'A1 A2',
    'the scope of an atomic list entry is that entry',
    [
      { t: 1, set: { '/l[k=a]/v': 1, '/l[k=b]/v': 2 } },
      { t: 5, prefix: '/l[k=a]', atomic: true, set: { '/w': 3 } },
    ],
    { '/l[k=a]/w': '3', '/l[k=b]/v': '2' },
  ),
  {
    id: 'cache/atomic-two-rpcs',
    title: 'of two subscriptions of one container in two RPCs neither’s atomic messages erase the leaves of the other',
    rules: 'A9',
    run: async (stage) => {
      const second = `second-${Date.now()}`;
      const profile = { encoding: 'json', subscriptions: [{ path: '/c/b' }] };
      expect((await stage.put(`/api/v1/profiles/${second}`, profile)).status).toBe(201);
      const device = await stage.device({
        encoding: 'proto',
        subscriptions: [{ path: '/c/a' }, { path: '/fence' }],
        profiles: [second],
      });
      const streams = [await device.stream(0), await device.stream(1)];
      const isOfB = (n: number): boolean => streams[n]?.request?.subscribe?.encoding === 'JSON';
      const [ofA, ofB] = isOfB(0) ? [1, 0] : [0, 1];
      for (const stream of streams) stream.sync();
      await device.stream(ofB);
      device.send({ t: 1, prefix: '/c', atomic: true, set: { '/b/y': 2 } });
      await device.publishes(1);
      await device.stream(ofA);
      device.send({ t: 2, prefix: '/c', atomic: true, set: { '/a/x': 1 } });
      expect(await device.state()).toEqual({ '/c/a/x': '1', '/c/b/y': '2' });
      device.send({ t: 3, prefix: '/c', atomic: true, set: { '/a/z': 1 } });
      expect(await device.state()).toEqual({ '/c/a/z': '1', '/c/b/y': '2' });
    },
  },
  {
    id: 'cache/atomic-whole',
    title: 'a reader never sees half of an atomic message: one position, or none of it',
    rules: 'A12',
    run: async (stage) => {
      const device = await stage.synced();
      const leaves = Array.from({ length: 50 }, (_, n) => `/l${n}`);
      const halves: string[] = [];
      const reading = (async () => {
        for (let n = 0; n < 60; n += 1) {
          const seen = new Set((await device.leavesNow(['/c'])).map(({ value }) => value));
          if (seen.size > 1) halves.push([...seen].join(' '));
        }
      })();
      for (let t = 1; t <= 200; t += 1) {
        device.send({ t, prefix: '/c', atomic: true, set: Object.fromEntries(leaves.map((path) => [path, t])) });
        if (t % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 20));
      }
      await reading;
      expect(halves).toEqual([]);
      expect(new Set((await device.leaves()).map(({ value }) => value))).toEqual(new Set(['200']));
    },
  },
];
