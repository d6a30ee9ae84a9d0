import { createServer, type Server, type Socket } from 'node:net';
import { type Clock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import { formatHostPort, listen, parseListenAddress } from '../listen-address.ts';
import { type Logger, RateLimited } from '../logger.ts';
import { nudgeByteRate, NudgeLimit, sendNudge } from './nudge.ts';
import { formatPeerLine, peerSocketOptions } from './peer-line.ts';

/**
 * What this process lets others see of it: a listener that tells every connection who is here. That the kernel ends the
 * connections and refuses new ones when the process dies is the whole service.
 *
 * PS1. A connection is told one line, and afterwards gets nudges only; one that was told a member id which is ours no
 *      longer is ended, so that its watcher comes back and reads the new one.
 * PS2. Connections are bounded, and so is what each may send; nothing that is received is kept.
 * PS3. The listener is closed by `stop` and by nothing else: a refusal means that the process is gone.
 */
export interface PeerServerOptions {
  /** Checked listen setting. */
  readonly listen: string;
  readonly advertisedHost: string;
  readonly incarnation: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onNudge: () => void;
}

/** Beyond this a connection is accepted and closed, which proves nothing to who tried. */
const connectionsMax = 256;

export class PeerServer {
  readonly #options: PeerServerOptions;
  readonly #server: Server;
  readonly #limited = new RateLimited();
  readonly #sockets = new Set<Socket>();
  /** Those that know our member id; the others wait for it. */
  readonly #told = new Set<Socket>();
  #memberId = '';
  #address = '';
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;

  constructor(options: PeerServerOptions) {
    this.#options = options;
    this.#server = createServer(peerSocketOptions, (socket) => this.#accept(socket));
    this.#server.maxConnections = connectionsMax; // PS2
  }

  /** `host:port` under which others reach it; empty: it could not be opened. */
  get address(): string {
    return this.#address;
  }

  /** Resolves when the address is known; never rejects. */
  start(): Promise<void> {
    if (this.#stopping !== undefined) return Promise.resolve();
    return (this.#starting ??= this.#open());
  }

  /** Connections wait for their line until there is a member id. */
  identify(memberId: string): void {
    if (memberId === this.#memberId) return;
    this.#memberId = memberId;
    for (const socket of this.#told) socket.destroy(); // PS1
    this.#told.clear();
    for (const socket of this.#sockets) this.#tell(socket);
  }

  nudge(): void {
    for (const socket of this.#told) sendNudge(socket);
  }

  stop(): Promise<void> {
    return (this.#stopping ??= this.#close());
  }

  async #open(): Promise<void> {
    const { listen: where, advertisedHost, logger } = this.#options;
    try {
      const port = await listen(this.#server, parseListenAddress(where));
      this.#address = formatHostPort(advertisedHost, port);
      this.#server.on('error', (thrown) => this.#acceptFailed(thrown)); // an unheard one would end the process
    } catch (thrown) {
      const fields = { address: where, cause: messageOf(thrown) };
      logger.warn(fields, 'peer listener not opened: a crash of this process is noticed by its session timeout only');
    }
  }

  async #close(): Promise<void> {
    await this.#starting;
    if (!this.#server.listening) return;
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      for (const socket of this.#sockets) socket.destroy();
    });
  }

  #accept(socket: Socket): void {
    const limit = new NudgeLimit(nudgeByteRate, this.#options.clock);
    this.#sockets.add(socket);
    socket.on('error', () => undefined); // `close` follows
    socket.on('close', () => {
      this.#sockets.delete(socket);
      this.#told.delete(socket);
    });
    socket.on('end', () => socket.destroy());
    socket.on('data', (bytes) => {
      if (limit.spend(bytes.length)) this.#options.onNudge();
      else socket.destroy(); // PS2
    });
    this.#tell(socket);
  }

  #tell(socket: Socket): void {
    if (this.#memberId === '' || socket.destroyed) return;
    socket.write(formatPeerLine({ incarnation: this.#options.incarnation, memberId: this.#memberId }));
    this.#told.add(socket);
  }

  #acceptFailed(thrown: Error): void {
    const { clock, logger } = this.#options;
    const suppressed = this.#limited.pass('accept', clock.monotonicMs());
    if (suppressed === undefined) return;
    logger.warn({ cause: messageOf(thrown), suppressed }, 'peer connection not accepted'); // PS3: it stays open
  }
}
