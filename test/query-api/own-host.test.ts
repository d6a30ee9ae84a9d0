import { expect, test } from '@jest/globals';
import { isOwnHost } from '../../query-api/own-host.ts';

test.each<[string | undefined, boolean]>([
  [undefined, true],
  ['127.0.0.1:8080', true],
  ['[::1]:8080', true],
  ['192.0.2.1', true],
  ['LOCALHOST:8080', true],
  ['a.localhost', true],
  ['gateway.example:8080', true],
  ['', false],
  ['evil.example', false],
  ['notlocalhost', false],
  ['127.0.0.1.evil.example', false],
  ['localhost.evil.example:80', false],
])('%s', (host, expected) => {
  expect(isOwnHost(host, 'Gateway.example')).toBe(expected);
});
