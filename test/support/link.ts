import { connect, createServer, type Socket } from 'node:net';
import { RequestScanner } from './fault-request-scanner.ts';

/**
 * A way to a server that a test can cut, reset, refuse, delay, or make deaf in one direction or in both.
 *
 * LK1. Of one connection the bytes keep their order, whatever the delay.
 * LK2. A connection that lost bytes carries none behind them any more in that direction, and is reset once the hole is
 *      mended: a stream with a hole in it is never seen as one.
 * LK3. In a black hole nothing of a connection arrives, its end neither.
 */
export interface Link {
  readonly address: { host: string; port: number };
  /** `host:port` of the server; may be said after the link is made, for servers whose port is not known yet. */
  target: string;
  readonly requests: Way;
  readonly replies: Way;
  /** New connections are refused, as by a broker that is down. */
  down: boolean;
  /** What the server answers is thrown away; requests still arrive. The same as `replies.blackHole`. */
  swallowing: boolean;
  /** Both directions. */
  blackHole: boolean;
  /** Both ways of the connections of some Kafka clients are a black hole, by the id they give. Call `mend` afterwards. */
  deafTo: (clientId: string) => boolean;
  /** Told of every Kafka request before its last bytes go on, with its API key: to begin a fault at a certain moment. */
  onRequest: (apiKey: number, clientId: string) => void;
  /** Connections accepted so far. */
  readonly accepted: number;
  /** Every connection is closed. */
  cut(): void;
  /** As `cut`, with RST. */
  reset(): void;
  /** Resets the connections that lost bytes in a hole which is no more (LK2). */
  mend(): void;
  close(): Promise<void>;
}

/** What happens to the bytes of one direction. */
export interface Way {
  /** Everything arrives this much later. */
  delayMs: number;
  /** Everything vanishes; connections stay open, new ones are accepted and silent. */
  blackHole: boolean;
}

/** Bytes that wait in one direction of one connection; more than a test ever has under way. */
const heldBytesMax = 256 * 1_024 * 1_024;

export async function linkTo(target: string): Promise<Link> {
  const link = new TestLink(target);
  await link.open();
  return link;
}

class TestLink implements Link {
  readonly address = { host: '127.0.0.1', port: 0 };
  readonly requests: Way;
  readonly replies: Way;
  target: string;
  down = false;
  accepted = 0;
  deafTo: (clientId: string) => boolean = () => false;
  onRequest: (apiKey: number, clientId: string) => void = () => undefined;
  readonly #wires = new Set<Wire>();
  readonly #server = createServer((inbound) => this.#accept(inbound));

  constructor(target: string) {
    this.target = target;
    this.requests = mendingWay(() => this.mend());
    this.replies = mendingWay(() => this.mend());
  }

  async open(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    this.address.port = address.port;
  }

  get swallowing(): boolean {
    return this.replies.blackHole;
  }

  set swallowing(on: boolean) {
    this.replies.blackHole = on;
  }

  get blackHole(): boolean {
    return this.requests.blackHole && this.replies.blackHole;
  }

  set blackHole(on: boolean) {
    this.requests.blackHole = on;
    this.replies.blackHole = on;
  }

  cut(): void {
    for (const wire of [...this.#wires]) wire.destroy();
  }

  reset(): void {
    for (const wire of [...this.#wires]) wire.reset();
  }

  mend(): void {
    for (const wire of [...this.#wires]) if (wire.damaged && !wire.inHole) wire.reset(); // LK2
  }

  close(): Promise<void> {
    this.cut();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  #accept(inbound: Socket): void {
    this.accepted += 1;
    if (this.down) {
      inbound.on('error', () => undefined);
      inbound.resetAndDestroy();
      return;
    }
    const wire: Wire = new Wire(this, inbound, () => this.#wires.delete(wire));
    this.#wires.add(wire);
  }
}

/** One connection through a link. */
class Wire {
  readonly #inbound: Socket;
  readonly #outbound: Socket;
  readonly #requests: Pump;
  readonly #replies: Pump;
  readonly #scanner: RequestScanner;
  readonly #onGone: () => void;
  #open = 2;
  #clientId = '';

  constructor(link: Link, inbound: Socket, onGone: () => void) {
    this.#inbound = inbound;
    this.#onGone = onGone;
    const at = link.target.lastIndexOf(':');
    this.#outbound = connect(Number(link.target.slice(at + 1)), link.target.slice(0, at));
    const deaf = (): boolean => link.deafTo(this.#clientId);
    this.#requests = new Pump(link.requests, this.#outbound, deaf);
    this.#replies = new Pump(link.replies, inbound, deaf);
    this.#scanner = new RequestScanner((apiKey, clientId) => {
      this.#clientId = clientId;
      link.onRequest(apiKey, clientId);
    });
    inbound.on('data', (bytes: Buffer) => {
      this.#scanner.push(bytes);
      this.#requests.take(bytes);
    });
    this.#outbound.on('data', (bytes: Buffer) => this.#replies.take(bytes));
    this.#watch(inbound, this.#requests);
    this.#watch(this.#outbound, this.#replies);
  }

  get damaged(): boolean {
    return this.#requests.damaged || this.#replies.damaged;
  }

  get inHole(): boolean {
    return this.#requests.inHole || this.#replies.inHole;
  }

  destroy(): void {
    this.#inbound.destroy();
    this.#outbound.destroy();
  }

  reset(): void {
    for (const socket of [this.#inbound, this.#outbound]) {
      if (socket.connecting) socket.destroy();
      else socket.resetAndDestroy();
    }
  }

  #watch(socket: Socket, pump: Pump): void {
    socket.on('error', () => undefined);
    socket.once('close', () => {
      pump.take(null);
      this.#open -= 1;
      if (this.#open > 0) return;
      this.#requests.stop();
      this.#replies.stop();
      this.#onGone();
    });
  }
}

/** One direction of one connection. */
class Pump {
  /** It lost something, so it carries nothing any more. */
  damaged = false;
  readonly #way: Way;
  readonly #to: Socket;
  readonly #deaf: () => boolean;
  /** In order of arrival; null: the end. */
  readonly #held: { readonly dueMs: number; readonly bytes: Buffer | null }[] = [];
  #heldBytes = 0;
  #lastDueMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(way: Way, to: Socket, deaf: () => boolean) {
    this.#way = way;
    this.#to = to;
    this.#deaf = deaf;
  }

  get inHole(): boolean {
    return this.#way.blackHole || this.#deaf();
  }

  take(bytes: Buffer | null): void {
    this.damaged ||= this.inHole;
    if (this.damaged) return; // LK2, LK3
    const nowMs = performance.now();
    const dueMs = Math.max(this.#lastDueMs, nowMs + this.#way.delayMs); // LK1
    if (dueMs <= nowMs && this.#held.length === 0) {
      this.#deliver(bytes);
      return;
    }
    this.#lastDueMs = dueMs;
    this.#heldBytes += bytes?.length ?? 0;
    if (this.#heldBytes > heldBytesMax) throw new Error('a delayed link holds too much');
    this.#held.push({ dueMs, bytes });
    this.#arm();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#held.length = 0;
  }

  #arm(): void {
    const [first] = this.#held;
    if (first === undefined || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => this.#release(), Math.max(0, first.dueMs - performance.now()));
  }

  #release(): void {
    this.#timer = undefined;
    this.damaged ||= this.inHole; // what is under way when the hole opens is lost with it
    const nowMs = performance.now();
    for (let first = this.#held[0]; first !== undefined && first.dueMs <= nowMs; first = this.#held[0]) {
      this.#held.shift();
      this.#heldBytes -= first.bytes?.length ?? 0;
      if (!this.damaged) this.#deliver(first.bytes);
    }
    this.#arm();
  }

  #deliver(bytes: Buffer | null): void {
    if (bytes === null) this.#to.destroySoon();
    else if (!this.#to.destroyed && !this.#to.writableEnded) this.#to.write(bytes);
  }
}

function mendingWay(mend: () => void): Way {
  let blackHole = false;
  return {
    delayMs: 0,
    get blackHole() {
      return blackHole;
    },
    set blackHole(on: boolean) {
      blackHole = on;
      if (!on) mend();
    },
  };
}
