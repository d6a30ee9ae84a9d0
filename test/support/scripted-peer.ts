import { createServer, type Server, type Socket } from 'node:net';
import { listen } from '../../core/listen-address.ts';

/** What a connection is met with. */
export type PeerScript = (socket: Socket) => void;

/** A peer's listener that does to each connection what a test says, one after the other; the last for all later ones. */
export class ScriptedPeer {
  readonly port: number;
  /** Every connection ever accepted, the latest last. */
  readonly sockets: Socket[] = [];
  readonly #server: Server;

  static async start(...scripts: readonly PeerScript[]): Promise<ScriptedPeer> {
    const sockets: Socket[] = [];
    const server = createServer((socket) => {
      const script = scripts[Math.min(sockets.length, scripts.length - 1)];
      sockets.push(socket);
      socket.on('error', () => undefined);
      socket.resume();
      script?.(socket);
    });
    return new ScriptedPeer(server, await listen(server, { host: '127.0.0.1', port: 0 }), sockets);
  }

  private constructor(server: Server, port: number, sockets: Socket[]) {
    this.#server = server;
    this.port = port;
    this.sockets = sockets;
  }

  /** New connections are refused from now on; those that are open stay. */
  refuse(): void {
    this.#server.close();
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve)); // closing twice calls back too
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }
}

export const says =
  (text: string): PeerScript =>
  (socket) =>
    void socket.write(text);

export const saysAndHangsUp =
  (text: string): PeerScript =>
  (socket) =>
    void socket.end(text);

export const isSilent: PeerScript = () => undefined;

export const hangsUp: PeerScript = (socket) => void socket.destroy();
