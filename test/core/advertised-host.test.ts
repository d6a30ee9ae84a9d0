import { hostname } from 'node:os';
import { advertisedHost } from '../../core/advertised-host.ts';

test.each([
  ['what the setting says', 'collector.example', '127.0.0.1:8080', 'collector.example'],
  ['a loopback address is reached under itself only', undefined, '127.0.0.1:0', '127.0.0.1'],
  ['IPv6 loopback too', undefined, '[::1]:8080', '::1'],
  ['everything else under the name of the machine', undefined, ':8080', hostname()],
])('%s', (_what, setting, httpListen, expected) => {
  expect(advertisedHost({ advertisedHost: setting, httpListen })).toBe(expected);
});
