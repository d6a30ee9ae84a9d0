import { connect, createServer, type Socket } from 'node:net';

/** A way to a server that a test can cut, refuse, or make deaf in one direction. */
export interface Link {
  readonly address: { host: string; port: number };
  cut(): void;
  /** New connections are refused, as by a broker that is down. */
  down: boolean;
  /** What the broker answers is thrown away; requests still arrive. */
  swallowing: boolean;
  close(): Promise<void>;
}

export async function linkTo(target: string): Promise<Link> {
  const [host, port] = target.split(':');
  const sockets = new Set<Socket>();
  const server = createServer((inbound) => {
    const outbound = link.down ? null : connect(Number(port), host);
    for (const socket of [inbound, outbound]) {
      if (socket === null) continue;
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        inbound.destroy();
        outbound?.destroy();
      });
    }
    if (outbound === null) inbound.destroy();
    else inbound.pipe(outbound);
    outbound?.on('data', (bytes: Buffer) => {
      if (!link.swallowing) inbound.write(bytes);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const link: Link = {
    address: { host: '127.0.0.1', port: address.port },
    down: false,
    swallowing: false,
    cut: () => {
      for (const socket of sockets) socket.destroy();
    },
    close: () => {
      link.cut();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
  return link;
}
