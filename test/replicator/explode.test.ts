import { explode, plainFacts, type Exploded } from '../../replicator/explode.ts';
import { createTally } from '../../replicator/tally.ts';
import { decodeDeviceMessage } from '../../schemas/notification.ts';
import { formatPath } from '../../schemas/path.ts';
import { decodeTypedValue, encodeTypedValue, formatValueJson } from '../../schemas/value.ts';
import { gnmi } from '../../schemas/gnmi.ts';
import { message, type Said } from './telemetry-log.ts';

function exploded(said: Said, facts = plainFacts) {
  const decoded = decodeDeviceMessage(message(said));
  if (decoded.kind !== 'update') throw new Error('not an update');
  const tally = createTally();
  return { tally, ...explode(decoded.notification, facts, tally) };
}

const json = (text: string) => encodeTypedValue({ kind: 'json_ietf', value: Buffer.from(text) });
const texts = (places: Exploded['updates'] | Exploded['deletes']) =>
  places.map(({ origin, elems }) => formatPath({ origin, target: '', elems }));
const values = (updates: Exploded['updates']) =>
  updates.map(({ value }) => formatValueJson(decodeTypedValue(value)!, 'rfc7951'));

describe('explode', () => {
  test.each<[string, Said, string[]]>([
    ['N1 prefix and path are joined', { at: 1, prefix: '/a', updates: [['/b', 1]] }, ['openconfig:/a/b']],
    ['N1 either may be empty: prefix', { at: 1, prefix: '', updates: [['/b', 1]] }, ['openconfig:/b']],
    ['N1 either may be empty: path', { at: 1, prefix: '/a', updates: [['', 1]] }, ['openconfig:/a']],
    ['N2 root is no element', { at: 1, updates: [['', 1]] }, ['openconfig:/']],
    ['N3 empty name with keys', { at: 1, updates: [['/[k=1]', 1], ['/[k=2]', 1]] }, ['openconfig:/[k=1]', 'openconfig:/[k=2]']], // prettier-ignore
    ['N6 no origin is openconfig', { at: 1, updates: [['openconfig:/a', 1], ['/a', 1]] }, ['openconfig:/a', 'openconfig:/a']], // prettier-ignore
    ['N7 origin in the prefix', { at: 1, prefix: 'cli:/a', updates: [['/b', 1]] }, ['cli:/a/b']],
    ['N7 origin in the path', { at: 1, prefix: '/a', updates: [['cli:/b', 1]] }, ['cli:/a/b']],
    [
      'N9 two origins in one message',
      {
        at: 1,
        updates: [
          ['x:/b', 1],
          ['y:/b', 1],
        ],
      },
      ['x:/b', 'y:/b'],
    ],
    ['P9 wildcards are no leaves', { at: 1, updates: [['/a/*', 1], ['/a/...', 1], ['/a[k=*]', 1], ['/b', 1]] }, ['openconfig:/b']], // prettier-ignore
    [
      'V18 no value',
      {
        at: 1,
        updates: [
          ['/a', null],
          ['/b', 1],
        ],
      },
      ['openconfig:/b'],
    ],
    [
      'V16 bad JSON',
      {
        at: 1,
        updates: [
          ['/a', json('{"a":')],
          ['/b', 1],
        ],
      },
      ['openconfig:/b'],
    ],
    ['V17 JSON with a newline at its end', { at: 1, updates: [['/a', json('{}\n')]] }, ['openconfig:/a']],
  ])('%s', (_rule, said, expected) => {
    expect(texts(exploded(said).updates)).toEqual(expected);
  });

  test('what is left out is counted by reason', () => {
    const { tally } = exploded({
      at: 0,
      updates: [['/a/*', 1], ['/a', null], ['/a', json('{')], [`/${'a/'.repeat(200)}b`, 1]], // prettier-ignore
      deletes: [''],
    });
    expect(tally.discarded).toMatchObject({ wildcard: 1, valueless: 1, 'bad-json': 1, 'too-deep': 1 });
    expect(tally.odd).toMatchObject({ untimed: 1, 'root-delete': 1 });
  });

  test('N11 deprecated path elements, V15 deprecated value', () => {
    // SubscribeResponse{update:{timestamp:1, update:{path:{element:["a","b"]}, value:{value:"7", type:JSON}}}}
    const bytes = Buffer.from(
      '0a13' + '0801' + '220f' + '0a06' + '0a0161' + '0a0162' + '1205' + '0a0137' + '1000',
      'hex',
    );
    const decoded = decodeDeviceMessage(bytes);
    if (decoded.kind !== 'update') throw new Error('not an update');
    const { updates } = explode(decoded.notification, plainFacts, createTally());
    expect(texts(updates)).toEqual(['openconfig:/a/b']);
    expect(values(updates)).toEqual(['7']);
  });

  test('N15 what the sender merged is counted', () => {
    const bytes = gnmi.SubscribeResponse.encode({
      update: { timestamp: 1n, update: [{ path: { elems: [{ name: 'a' }] }, val: json('1'), duplicates: 4 }] },
    });
    const decoded = decodeDeviceMessage(bytes);
    if (decoded.kind !== 'update') throw new Error('not an update');
    const tally = createTally();
    explode(decoded.notification, plainFacts, tally);
    expect(tally.senderDuplicates).toBe(4);
  });

  test('D8 a delete without a path is ignored unless the device says otherwise', () => {
    expect(texts(exploded({ at: 1, deletes: ['', 'cli:/'] }).deletes)).toEqual([]);
    const honoured = exploded({ at: 1, deletes: ['', '/a'] }, { ...plainFacts, honourRootDelete: true });
    expect(texts(honoured.deletes)).toEqual(['openconfig:/', 'openconfig:/a']);
  });

  test.each<[string, Said, string | null, boolean]>([
    ['A1 the scope is the prefix', { at: 1, prefix: '/a', updates: [['/b', 1]], atomic: true }, 'openconfig:/a', true],
    ['A1 not atomic: no scope', { at: 1, prefix: '/a', updates: [['/b', 1]] }, null, false],
    [
      'N7 its origin may stand in the paths',
      { at: 1, prefix: '/a', updates: [['cli:/b', 1]], atomic: true },
      'cli:/a',
      true,
    ],
    ['A8 empty: says that there is nothing', { at: 1, prefix: '/a', atomic: true }, 'openconfig:/a', true],
    ['A4 deletes only: just those', { at: 1, prefix: '/a', deletes: ['/b'], atomic: true }, 'openconfig:/a', false],
    ['without a prefix it is read as plain', { at: 1, updates: [['/b', 1]], atomic: true }, null, false],
  ])('%s', (_rule, said, scope, complete) => {
    const { atomic, complete: isComplete } = exploded(said);
    expect(atomic === null ? null : texts([atomic])[0]).toBe(scope);
    expect(isComplete).toBe(complete);
  });

  test.each<[string, string, string[], string[]]>([
    ['V10 a bare value is the leaf itself', '18446744073709551616', ['/a'], ['18446744073709551616']],
    ['V11 empty is `[null]`, a leaf', '{"e":[null]}', ['/a/e'], ['[null]']],
    ['V8 a leaf-list stays one leaf', '{"l":["x","y"],"n":[]}', ['/a/l', '/a/n'], ['["x","y"]', '[]']],
    ['a list stays one leaf: nobody says which members are its keys', '{"i":[{"name":"x","v":1}]}', ['/a/i'], ['[{"name":"x","v":1}]']],
    ['V11 names keep their module', '{"m:b":{"m:c":"1"}}', ['/a/m:b/m:c'], ['"1"']],
    ['N18 whatever the names are', '{"__proto__":1,"":2,"a/b":3}', ['/a/__proto__', '/a//', '/a/a\\/b'], ['1', '2', '3']],
    ['P9 names that would be wildcards are no leaves', '{"*":1,"...":2,"b":3}', ['/a/b'], ['3']],
    ['N12 of a name twice both come, and the last will count', '{"b":1,"b":2}', ['/a/b', '/a/b'], ['1', '2']],
    ['digits are kept', '{"d":1.10,"x":1e400,"y":-0}', ['/a/d', '/a/x', '/a/y'], ['1.10', '1e400', '-0']],
    ['V17 blanks around it', ' {"b" : 1 }\r\n', ['/a/b'], ['1']],
  ])('exploded: %s', (_rule, text, paths, expected) => {
    for (const kind of ['json', 'json_ietf'] as const) {
      const value = encodeTypedValue({ kind, value: Buffer.from(text) });
      const { updates } = exploded({ at: 1, updates: [['/a', value]] }, { ...plainFacts, explodeJson: true });
      expect(texts(updates)).toEqual(paths.map((path) => `openconfig:${path}`));
      expect(values(updates)).toEqual(expected);
      expect(new Set(updates.map((one) => decodeTypedValue(one.value)?.kind))).toEqual(new Set([kind]));
    }
  }); // prettier-ignore

  test('N16 a notification with neither update nor delete is counted', () => {
    expect(exploded({ at: 1 }).tally.odd.empty).toBe(1);
    expect(exploded({ at: 1, deletes: ['/a'] }).tally.odd.empty).toBe(0);
  });

  test('JSON stays whole, or becomes one leaf per member with its digits kept', () => {
    const said: Said = {
      at: 1,
      updates: [['/a', json('{"b":{"c":18446744073709551615,"d":[1,{"e":2}]},"f":{},"g":"x"}')]],
    };
    expect(texts(exploded(said).updates)).toEqual(['openconfig:/a']);
    const { updates } = exploded(said, { ...plainFacts, explodeJson: true });
    expect(texts(updates)).toEqual(['openconfig:/a/b/c', 'openconfig:/a/b/d', 'openconfig:/a/f', 'openconfig:/a/g']);
    expect(values(updates)).toEqual(['18446744073709551615', '[1,{"e":2}]', '{}', '"x"']);
  });
});
