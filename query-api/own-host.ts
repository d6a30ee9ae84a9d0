/**
 * Whether a request means this server. A server that only this machine reaches has no authentication, so it must not
 * answer a web page from elsewhere whose name was pointed at 127.0.0.1 (DNS rebinding): such a page could add a device
 * of its own and have any `file:` sent to it as a password. Browsers always send the name they asked for. Pure.
 */
import { isIP } from 'node:net';

/** `host` is the header as it came; without one (HTTP/1.0, no browser) the request is meant for us. */
export function isOwnHost(host: string | undefined, advertisedHost: string): boolean {
  if (host === undefined) return true;
  const name = host
    .replace(/:\d*$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase();
  if (isIP(name) !== 0) return true;
  return name === 'localhost' || name.endsWith('.localhost') || name === advertisedHost.toLowerCase();
}
