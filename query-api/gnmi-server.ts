/**
 * The gNMI listener: sockets are accepted here and handed to grpc-js with the credentials of that moment (T4).
 *
 * L1. Without TLS it is plaintext because nobody asked for TLS, never because TLS failed (T1); that others can reach it
 *     so is said at start.
 * L2. A stop ends every stream with a status before the sockets go.
 */
import { createServer, type Server as NetServer, type Socket } from 'node:net';
import { type ConnectionInjector, Server, type ServerCredentials } from '@grpc/grpc-js';
import { type Clock } from '../core/clock.ts';
import { messageOf } from '../core/errors.ts';
import { type Component } from '../core/lifecycle.ts';
import { formatHostPort, isLoopback, listen, parseListenAddress } from '../core/listen-address.ts';
import { type Logger } from '../core/logger.ts';
import { type GnmiService } from './gnmi-service.ts';
import { type GnmiTls } from './gnmi-tls.ts';

export interface GnmiServerOptions {
  /** Checked listen setting. */
  readonly listen: string;
  readonly advertisedHost: string;
  readonly maxRequestBytes: number;
  /** RPCs at a time; further ones wait at the client. */
  readonly maxStreamsPerConnection: number;
  readonly tls: GnmiTls;
  readonly service: GnmiService;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Statuses of ended streams get this long to leave when the server stops. */
const stopGraceMs = 500;

export class GnmiServer implements Component {
  readonly name = 'gNMI server';
  readonly #options: GnmiServerOptions;
  readonly #sockets = new Set<Socket>();
  readonly #listener: NetServer;
  #grpc: Server | null = null;
  #injector: { readonly credentials: ServerCredentials; readonly injector: ConnectionInjector } | null = null;
  #port = 0;

  constructor(options: GnmiServerOptions) {
    this.#options = options;
    this.#listener = createServer({ noDelay: true }, (socket) => this.#accept(socket));
  }

  /** `host:port` under which others reach this server. */
  get address(): string {
    return formatHostPort(this.#options.advertisedHost, this.#port);
  }

  get port(): number {
    return this.#port;
  }

  async start(): Promise<void> {
    const { tls, logger } = this.#options;
    tls.credentials(); // a certificate that cannot be used ends the start
    const address = parseListenAddress(this.#options.listen);
    this.#port = await listen(this.#listener, address);
    if (!tls.enabled && !isLoopback(address)) {
      logger.warn({ listen: this.#options.listen }, 'gnmi is served without TLS to whoever reaches it'); // L1
    }
  }

  /** L2. */
  async stop(): Promise<void> {
    this.#options.service.close();
    const closed = new Promise<void>((resolve) => {
      if (this.#listener.listening) this.#listener.close(() => resolve());
      else resolve();
    });
    if (this.#sockets.size > 0) await this.#drained();
    for (const socket of this.#sockets) socket.destroy();
    this.#grpc?.forceShutdown();
    this.#grpc = null;
    this.#injector = null;
    await closed;
  }

  async #drained(): Promise<void> {
    const grpc = this.#grpc;
    if (grpc === null) return;
    const { clock } = this.#options;
    await new Promise<void>((resolve) => {
      const timer = clock.after(stopGraceMs, resolve);
      grpc.tryShutdown(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => undefined); // the close that follows says all that matters here
    try {
      this.#injection().injectConnection(socket);
    } catch (thrown) {
      this.#options.logger.error({ cause: messageOf(thrown) }, 'gnmi connection not served');
      socket.destroy();
    }
  }

  #injection(): ConnectionInjector {
    const credentials = this.#options.tls.credentials();
    if (this.#injector?.credentials === credentials) return this.#injector.injector;
    if (this.#grpc === null) {
      this.#grpc = new Server({
        'grpc.max_receive_message_length': this.#options.maxRequestBytes,
        'grpc.max_send_message_length': -1,
        'grpc.max_concurrent_streams': this.#options.maxStreamsPerConnection,
        'grpc.enable_channelz': 0,
      });
      this.#options.service.addTo(this.#grpc);
    }
    const injector = this.#grpc.createConnectionInjector(credentials);
    this.#injector = { credentials, injector };
    return injector;
  }
}
