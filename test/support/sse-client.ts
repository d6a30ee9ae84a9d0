/**
 * A reader of a stream of changes, on a bare socket: keeps its cursor, can stop reading, can be cut off and come back.
 *
 * SSC1. An event counts when its last byte has come; what is left of one when the connection ends counts for nothing.
 */
import { connect, type Socket } from 'node:net';
import { eventually } from './eventually.ts';

export interface StreamedEvent {
  readonly event: string;
  readonly id: string | null;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface StreamedLeaf {
  readonly device: string;
  readonly origin: string;
  readonly path: string;
  readonly value: unknown;
  readonly timestamp: string;
  readonly position: string;
  readonly ageMs: number;
  readonly coalesced?: number;
}

export interface SseClientOptions {
  readonly port: number;
  readonly host?: string;
  /** Path and query. */
  readonly path: string;
  readonly lastEventId?: string;
  readonly onEvent?: (event: StreamedEvent) => void;
}

export class SseClient {
  readonly events: StreamedEvent[] = [];
  /** As a browser keeps it. */
  lastEventId: string;
  /** Status and headers; '' until they came. */
  head = '';
  isEnded = false;
  readonly #options: SseClientOptions;
  readonly #socket: Socket;
  #raw: Buffer = Buffer.alloc(0);
  #text = '';

  constructor(options: SseClientOptions) {
    this.#options = options;
    this.lastEventId = options.lastEventId ?? '';
    const { host = '127.0.0.1', port, path } = options;
    this.#socket = connect(port, host, () => {
      const resume = this.lastEventId === '' ? '' : `Last-Event-ID: ${this.lastEventId}\r\n`;
      this.#socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n${resume}\r\n`);
    });
    this.#socket.on('data', (bytes) => this.#read(bytes));
    this.#socket.on('close', () => (this.isEnded = true));
    this.#socket.on('error', () => undefined); // `close` follows
  }

  get status(): number {
    return Number(/^HTTP\/1.1 (\d+)/.exec(this.head)?.[1] ?? 0);
  }

  /** Nothing is taken from the socket any more. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Cuts the connection off; whatever has not come is lost. */
  close(): void {
    this.isEnded = true;
    this.#socket.removeAllListeners('data');
    this.#socket.destroy();
  }

  named(event: string): StreamedEvent[] {
    return this.events.filter((candidate) => candidate.event === event);
  }

  /** Leaves of all `update` events, in order. */
  get leaves(): StreamedLeaf[] {
    return this.named('update').flatMap(({ data }) => data['leaves'] as StreamedLeaf[]);
  }

  async until(what: string, check: (client: this) => boolean, withinMs = 5_000): Promise<this> {
    await eventually(what, withinMs, () => check(this));
    return this;
  }

  synced(times = 1): Promise<this> {
    return this.until('synced', () => this.named('synced').length >= times);
  }

  #read(bytes: Buffer): void {
    this.#raw = this.#raw.length === 0 ? bytes : Buffer.concat([this.#raw, bytes]);
    if (this.head === '') {
      const end = this.#raw.indexOf('\r\n\r\n');
      if (end < 0) return;
      this.head = this.#raw.toString('latin1', 0, end);
      this.#raw = this.#raw.subarray(end + 4);
    }
    if (!/transfer-encoding: chunked/i.test(this.head)) return;
    for (let chunk = this.#chunk(); chunk !== undefined; chunk = this.#chunk()) this.#take(chunk);
  }

  /** The next chunk of the body that has come as a whole. */
  #chunk(): string | undefined {
    const lineEnd = this.#raw.indexOf('\r\n');
    if (lineEnd < 0) return undefined;
    const length = Number.parseInt(this.#raw.toString('latin1', 0, lineEnd), 16);
    const start = lineEnd + 2;
    if (this.#raw.length < start + length + 2) return undefined;
    const chunk = this.#raw.toString('utf8', start, start + length);
    this.#raw = this.#raw.subarray(start + length + 2);
    return length === 0 ? undefined : chunk;
  }

  #take(chunk: string): void {
    this.#text += chunk;
    const texts = this.#text.split('\n\n');
    this.#text = texts.pop() ?? ''; // SSC1
    for (const text of texts) this.#event(text);
  }

  #event(text: string): void {
    const fields = new Map<string, string>();
    for (const line of text.split('\n')) {
      const colon = line.indexOf(': ');
      const name = line.slice(0, colon);
      const before = fields.get(name);
      fields.set(name, `${before === undefined ? '' : `${before}\n`}${line.slice(colon + 2)}`);
    }
    const event = fields.get('event');
    if (event === undefined) return;
    const id = fields.get('id') ?? null;
    if (id !== null) this.lastEventId = id;
    const seen = { event, id, data: JSON.parse(fields.get('data') ?? '') as Record<string, unknown> };
    this.events.push(seen);
    this.#options.onEvent?.(seen);
  }
}
