import { expect, test } from '@jest/globals';
import { jsonSubtree } from '../../../core/gnmi/json-subtree.ts';
import { formatElems, parsePath } from '../../../schemas/path.ts';
import { type TypedValue } from '../../../schemas/value.ts';

const big: TypedValue = { kind: 'uint', value: 18_446_744_073_709_551_615n };
const leaves = (entries: readonly (readonly [string, TypedValue])[]) =>
  entries.map(([path, value]) => ({ elems: parsePath(path).elems, value }));
const interfaces = leaves([
  ['/if/i[name=e1]/state/octets', big],
  ['/if/i[name=e1]/state/up', { kind: 'bool', value: true }],
  ['/if/i[name=e2]/state/up', { kind: 'bool', value: false }],
]);

test.each([
  [
    'a container is one object, a list an array with its keys as leaves (G5)',
    '/if',
    '{"i":[{"name":"e1","state":{"octets":18446744073709551615,"up":true}},{"name":"e2","state":{"up":false}}]}',
    '/if',
  ],
  [
    'under an omitted key the object begins at the root (G6)',
    '/if/i/state/up',
    '{"if":{"i":[{"name":"e1","state":{"octets":18446744073709551615,"up":true}},{"name":"e2","state":{"up":false}}]}}',
    '/',
  ],
  [
    'under a wildcard too',
    '/if/i[name=*]',
    '{"if":{"i":[{"name":"e1","state":{"octets":18446744073709551615,"up":true}},{"name":"e2","state":{"up":false}}]}}',
    '/',
  ],
])('%s', (_, asked, json, at) => {
  const subtree = jsonSubtree(parsePath(asked), interfaces, 'json');
  expect({ json: subtree.json.toString(), at: formatElems(subtree.elems) }).toEqual({ json, at });
});

test.each([
  ['json', '18446744073709551615'],
  ['json_ietf', '"18446744073709551615"'],
] as const)(
  'a leaf is a bare value; 64-bit integers are as the form wants them, to the last digit (%s)',
  (form, text) => {
    const subtree = jsonSubtree(parsePath('/a/b'), leaves([['/a/b', big]]), form);
    expect({ json: subtree.json.toString(), at: formatElems(subtree.elems) }).toEqual({ json: text, at: '/a/b' });
  },
);

test('JSON of a device is copied, not parsed; names like __proto__ are names like any other (N18)', () => {
  const blob: TypedValue = { kind: 'json_ietf', value: Buffer.from('{"n":9007199254740993}') };
  const subtree = jsonSubtree(
    parsePath('/'),
    leaves([
      ['/__proto__/constructor', big],
      ['/blob', blob],
    ]),
    'json',
  );
  expect(subtree.json.toString()).toBe(
    '{"__proto__":{"constructor":18446744073709551615},"blob":{"n":9007199254740993}}',
  );
});
