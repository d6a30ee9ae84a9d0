import { hostname } from 'node:os';
import { isLoopback, parseListenAddress } from './listen-address.ts';

/** The host under which others reach a server: the machine's name, unless only this machine reaches it. */
export function advertisedHost(settings: {
  readonly advertisedHost: string | undefined;
  readonly httpListen: string;
}): string {
  if (settings.advertisedHost !== undefined) return settings.advertisedHost;
  const address = parseListenAddress(settings.httpListen);
  return isLoopback(address) && address.host !== undefined ? address.host : hostname();
}
