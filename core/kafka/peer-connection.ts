import { connect, type Socket } from 'node:net';
import { type Clock } from '../clock.ts';
import { nudgeByteRate, NudgeLimit, sendNudge } from './nudge.ts';
import { parsePeerLine, peerLineBytesMax, peerSocketOptions, type PeerLine } from './peer-line.ts';

/**
 * One connection to a peer's listener, from the attempt to its end. Says what it read and why it ended; what that proves
 * is for `peer-watch.ts` to judge.
 *
 * PN1. `refused` is the answer of the address that nobody listens there, and nothing else is.
 * PN2. At most one line's length is kept of what a peer sends, and one that sends too much is let go.
 */
export type PeerConnectionEnd =
  | { readonly kind: 'refused' }
  /** It was never there: no answer in time, no route, no such name. */
  | { readonly kind: 'unreached' }
  /** The other side or the network ended it; `ip` is where it led. */
  | { readonly kind: 'ended'; readonly ip: string }
  /** We ended it: the peer did not keep to the protocol, or the signal was aborted. */
  | { readonly kind: 'dropped' };

export interface PeerConnectionOptions {
  readonly host: string;
  readonly port: number;
  readonly clock: Clock;
  readonly onLine: (line: PeerLine) => void;
  readonly onNudge: () => void;
}

const connectTimeoutMs = 1_000;
const lineFeed = 0x0a;

export class PeerConnection {
  readonly #options: PeerConnectionOptions;
  readonly #limit: NudgeLimit;
  #socket: Socket | undefined;
  #end: PeerConnectionEnd = { kind: 'unreached' };
  /** What came of the line so far; null: it was read. */
  #line: Buffer | null = Buffer.alloc(0);

  constructor(options: PeerConnectionOptions) {
    this.#options = options;
    this.#limit = new NudgeLimit(nudgeByteRate, options.clock);
  }

  /** Resolves when the socket is closed; never rejects. To be called once. */
  run(signal: AbortSignal): Promise<PeerConnectionEnd> {
    if (signal.aborted) return Promise.resolve({ kind: 'dropped' });
    const { host, port, clock } = this.#options;
    return new Promise((resolve) => {
      const socket = connect({ host, port, ...peerSocketOptions });
      this.#socket = socket;
      const timer = clock.after(connectTimeoutMs, () => socket.destroy());
      const onAbort = (): void => this.#drop();
      signal.addEventListener('abort', onAbort, { once: true });
      socket.on('connect', () => {
        timer.cancel();
        this.#connected(socket);
      });
      socket.on('data', (bytes) => this.#receive(bytes));
      socket.on('end', () => socket.destroy());
      socket.on('error', (thrown: NodeJS.ErrnoException) => {
        if (this.#end.kind === 'unreached' && thrown.code === 'ECONNREFUSED') this.#end = { kind: 'refused' }; // PN1
      });
      socket.on('close', () => {
        timer.cancel();
        signal.removeEventListener('abort', onAbort);
        resolve(this.#end);
      });
    });
  }

  nudge(): void {
    if (this.#socket !== undefined) sendNudge(this.#socket);
  }

  #connected(socket: Socket): void {
    const { remoteAddress: ip, remotePort, localAddress, localPort } = socket;
    // Where nobody listens on a port of this machine, TCP connects a socket with itself if it draws that very port.
    const isItself = ip === localAddress && remotePort === localPort;
    if (ip === undefined || isItself) socket.destroy();
    else this.#end = { kind: 'ended', ip };
  }

  #receive(bytes: Buffer): void {
    const rest = this.#line === null ? bytes : this.#readLine(this.#line, bytes);
    if (rest.length === 0 || this.#socket?.destroyed === true) return;
    if (this.#limit.spend(rest.length)) this.#options.onNudge();
    else this.#drop(); // PN2
  }

  /** Returns what came after the line. */
  #readLine(kept: Buffer, bytes: Buffer): Buffer {
    const none = Buffer.alloc(0);
    const all = Buffer.concat([kept, bytes.subarray(0, peerLineBytesMax - kept.length)]);
    const end = all.indexOf(lineFeed);
    if (end < 0) {
      this.#line = all;
      if (all.length === peerLineBytesMax) this.#drop(); // PN2
      return none;
    }
    this.#line = null;
    const line = parsePeerLine(all.subarray(0, end));
    if (line === null) {
      this.#drop();
      return none;
    }
    this.#options.onLine(line);
    return bytes.subarray(end + 1 - kept.length);
  }

  #drop(): void {
    this.#end = { kind: 'dropped' };
    this.#socket?.destroy();
  }
}
