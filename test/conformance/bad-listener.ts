import { createServer as createHttp2Server } from 'node:http2';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { type ConformanceStage } from './stage.ts';

/** Something that takes connections where a device should, and is none. */
export interface BadListener {
  readonly port: number;
  readonly address: string;
  /** When each connection came. */
  readonly dialsMonotonicMs: readonly number[];
  close(): Promise<void>;
}

export const hangUp = (): Server => createServer((socket) => socket.destroy());

/** Speaks TLS only up to a version. */
export function tlsUpTo(
  maxVersion: NonNullable<TlsOptions['maxVersion']>,
  pair: { cert: string; key: string },
): Server {
  const ciphers = 'DEFAULT@SECLEVEL=0';
  return createTlsServer({ ...pair, minVersion: 'TLSv1', maxVersion, ciphers, ALPNProtocols: ['h2'] }, (socket) =>
    socket.destroy(),
  );
}

/** An HTTP/2 server that is tired of pings from the first one on: GOAWAY, ENHANCE_YOUR_CALM. */
export function tooManyPings(): Server {
  const server = createHttp2Server();
  server.on('session', (session) => {
    session.on('error', () => undefined);
    session.goaway(11, 0, Buffer.from('too_many_pings'));
    setTimeout(() => session.destroy(), 20);
  });
  return server;
}

/** Accepts and says nothing, as a host behind a firewall that drops. */
export const silence = (): Server => createServer();

export async function listen(stage: ConformanceStage, server: Server): Promise<BadListener> {
  const dialsMonotonicMs: number[] = [];
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    dialsMonotonicMs.push(performance.now());
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  let closed: Promise<void> | null = null;
  const close = (): Promise<void> => {
    closed ??= new Promise<void>((resolve) => {
      server.close(() => resolve());
      for (const socket of sockets) socket.destroy();
    });
    return closed;
  };
  stage.onStop(close);
  return { port, address: `127.0.0.1:${port}`, dialsMonotonicMs, close };
}

/** Times between one and the next. */
export const pauses = (timesMs: readonly number[]): number[] =>
  timesMs.slice(1).map((timeMs, index) => timeMs - (timesMs[index] as number));
