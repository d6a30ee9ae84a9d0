import { type Server } from 'node:net';
import { HoldfastError, messageOf } from './errors.ts';

/** Where a server listens: what settings say (`host:port`, `:port`, `[::1]:port`) and what the system gave. */
export interface ListenAddress {
  /** `undefined`: every address of the machine. */
  readonly host: string | undefined;
  readonly port: number;
}

/** Parses a checked listen setting. Throws `SETTING_INVALID`. */
export function parseListenAddress(text: string): ListenAddress {
  const match = /^(?:\[(?<v6>[^\]]+)\]|(?<host>[^:[\]]*)):(?<port>\d{1,5})$/.exec(text);
  const port = Number(match?.groups?.['port']);
  if (match?.groups === undefined || port > 65_535) {
    throw new HoldfastError(
      'SETTING_INVALID',
      `${text} is not an address to listen on; write host:port, :port or [::1]:port`,
    );
  }
  const host = match.groups['v6'] ?? match.groups['host'] ?? '';
  return { host: host === '' ? undefined : host, port };
}

/** `host:port` as others write it; IPv6 in brackets. */
export function formatHostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

export function isLoopback(address: ListenAddress): boolean {
  return address.host !== undefined && /^(localhost|127(\.\d+){3}|::1)$/.test(address.host);
}

/** Starts `server` on `address` and resolves with the port in use. Throws `LISTEN_IN_USE` when somebody else has it. */
export function listen(server: Server, address: ListenAddress): Promise<number> {
  return new Promise((resolve, reject) => {
    const onError = (thrown: NodeJS.ErrnoException): void => {
      const where = formatHostPort(address.host ?? '*', address.port);
      const why = thrown.code === 'EADDRINUSE' ? 'another process listens there' : messageOf(thrown);
      reject(
        new HoldfastError('LISTEN_IN_USE', `cannot listen on ${where}: ${why}; choose another address or port 0`, {
          cause: thrown,
          facts: { address: where },
        }),
      );
    };
    server.once('error', onError);
    server.listen({ port: address.port, ...(address.host === undefined ? {} : { host: address.host }) }, () => {
      server.off('error', onError);
      const bound = server.address();
      resolve(bound !== null && typeof bound === 'object' ? bound.port : address.port);
    });
  });
}
