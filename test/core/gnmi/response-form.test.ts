import { expect, test } from '@jest/globals';
import { isRefusal } from '../../../core/gnmi/refusal.ts';
import { joinedPath, responseForm } from '../../../core/gnmi/response-form.ts';
import { formatPath, parsePath } from '../../../schemas/path.ts';

test.each([
  ['JSON', 'json'],
  ['JSON_IETF', 'json_ietf'],
  ['PROTO', 'proto'],
] as const)('encoding %s gives values as %s (E4, E7)', (encoding, values) => {
  expect(responseForm(undefined, [], encoding, ['JSON', 'JSON_IETF', 'PROTO'])).toMatchObject({ values });
});

test('two origins in one request are kept apart, each for its paths (N7); the target is kept as asked (N4)', () => {
  const form = responseForm(
    { origin: '', target: '*', elems: [] },
    [parsePath('a:/x'), parsePath('b:/y'), parsePath('/z')],
    'PROTO',
    ['PROTO'],
  );
  expect(isRefusal(form)).toBe(false);
  expect(form).toMatchObject({ prefixOrigin: '', pathOrigins: new Set(['a', 'b']), target: '*' });
});

test.each([
  [undefined, undefined, 'openconfig:/'],
  [parsePath('/p'), parsePath('/a[k=v]'), 'openconfig:/p/a[k=v]'],
  [parsePath('x:/p'), undefined, 'x:/p'],
  [undefined, parsePath('y:/a'), 'y:/a'],
])('prefix and path joined, %#', (prefix, path, joined) => {
  expect(formatPath(joinedPath(prefix, path))).toBe(joined);
});
