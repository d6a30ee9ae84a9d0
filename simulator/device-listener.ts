import { createServer, type Server as NetServer, type Socket } from 'node:net';
import { formatHostPort, listen } from '../core/listen-address.ts';

/**
 * The port of one device. Connections are accepted here and handed to the gRPC server, so that the faults of a wire can
 * be played: resets, a port that refuses, and a peer that speaks no HTTP/2.
 *
 * L1. The port is chosen once: after a refusal the device comes back where it was.
 */
export type ConnectionTreatment = 'serve' | 'garbage' | 'silent';

export interface DeviceListenerOptions {
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
  readonly onConnection: (socket: Socket) => void;
}

export class DeviceListener {
  treatment: ConnectionTreatment = 'serve';
  readonly #options: DeviceListenerOptions;
  readonly #sockets = new Set<Socket>();
  #server: NetServer | null = null;
  #port: number;

  constructor(options: DeviceListenerOptions) {
    this.#options = options;
    this.#port = options.port;
  }

  get port(): number {
    return this.#port;
  }

  get address(): string {
    return formatHostPort(this.#options.host, this.#port);
  }

  get connections(): number {
    return this.#sockets.size;
  }

  get listening(): boolean {
    return this.#server !== null;
  }

  /** Throws `LISTEN_IN_USE`. */
  async open(): Promise<void> {
    if (this.#server !== null) return;
    const server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
    this.#server = server;
    try {
      this.#port = await listen(server, { host: this.#options.host, port: this.#port }); // L1
    } catch (thrown) {
      this.#server = null;
      throw thrown;
    }
  }

  /** New connections are refused; those that stand are reset. */
  async close(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    const closed = new Promise<void>((resolve) => {
      if (server === null) resolve();
      else server.close(() => resolve());
    });
    this.reset();
    await closed;
  }

  /** Ends every connection with a TCP reset, as a device that lost power and came back does. Returns how many. */
  reset(): number {
    const count = this.#sockets.size;
    for (const socket of [...this.#sockets]) socket.resetAndDestroy();
    return count;
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => undefined); // the close that follows says all that matters here
    if (this.treatment === 'serve') this.#options.onConnection(socket);
    else if (this.treatment === 'garbage') {
      socket.resume();
      socket.end(Buffer.alloc(512, 'this is not HTTP/2\r\n\xff\x00', 'latin1'));
    } else socket.resume();
  }
}
