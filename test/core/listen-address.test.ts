import { describe, expect, test } from '@jest/globals';
import { createServer } from 'node:net';
import { formatHostPort, isLoopback, listen, parseListenAddress } from '../../core/listen-address.ts';

describe('listen addresses', () => {
  test.each([
    [':8080', { host: undefined, port: 8080 }, false],
    ['127.0.0.1:0', { host: '127.0.0.1', port: 0 }, true],
    ['[::1]:9339', { host: '::1', port: 9339 }, true],
    ['0.0.0.0:80', { host: '0.0.0.0', port: 80 }, false],
    ['localhost:1', { host: 'localhost', port: 1 }, true],
  ])('%s', (text, address, loopback) => {
    expect(parseListenAddress(text)).toEqual(address);
    expect(isLoopback(parseListenAddress(text))).toBe(loopback);
  });

  test.each(['8080', 'host', 'host:port', ':99999', '::1:80'])('%s is refused', (text) => {
    expect(() => parseListenAddress(text)).toThrow(/SETTING|host:port/);
  });

  test('IPv6 hosts get brackets', () => {
    expect(formatHostPort('::1', 80)).toBe('[::1]:80');
    expect(formatHostPort('a.example', 80)).toBe('a.example:80');
  });

  test('a port in use is an error that names the address and a way out', async () => {
    const first = createServer();
    const port = await listen(first, { host: '127.0.0.1', port: 0 });
    const second = createServer();
    await expect(listen(second, { host: '127.0.0.1', port })).rejects.toMatchObject({
      code: 'LISTEN_IN_USE',
      facts: { address: `127.0.0.1:${port}` },
    });
    await new Promise((resolve) => first.close(resolve));
  });
});
