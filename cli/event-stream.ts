/**
 * A stream of changes as the command line reads it: event by event, over as many connections as it takes.
 *
 * ES1. Each connection goes on behind the last event that was handed out.
 * ES2. What can pass is tried again for ever, a second later; what cannot (a malformed path) ends it at once, and so does
 *      a server that cannot be reached at all in the beginning.
 */
import { type Clock } from '../core/clock.ts';
import { type ErrorCode, errorCodes, HoldfastError, messageOf } from '../core/errors.ts';

export interface StreamedEvent {
  readonly event: string;
  /** A cursor; null while there is none. */
  readonly id: string | null;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface EventStreamOptions {
  readonly url: string;
  readonly clock: Clock;
  /** Told why a connection ended, in words. */
  readonly onLost: (reason: string) => void;
}

const retryMs = 1_000;
/** A server of default settings says something every 15 s; three of these in a row were lost. */
const silenceMsMax = 50_000;

export async function* eventStream({ url, clock, onLost }: EventStreamOptions): AsyncGenerator<StreamedEvent> {
  let lastEventId = '';
  for (let isFirst = true; ; isFirst = false) {
    const connection = new Connection(url, lastEventId, clock);
    try {
      for await (const event of connection.events()) {
        lastEventId = event.id ?? lastEventId; // ES1
        yield event;
      }
      onLost('the server has ended the stream');
    } catch (thrown) {
      const isFinal = thrown instanceof HoldfastError && !thrown.retryable;
      if (isFinal || isFirst) throw thrown; // ES2
      onLost(messageOf(thrown));
    } finally {
      connection.close();
    }
    await clock.sleep(retryMs);
  }
}

class Connection {
  readonly #url: string;
  readonly #lastEventId: string;
  readonly #clock: Clock;
  readonly #gone = new AbortController();

  constructor(url: string, lastEventId: string, clock: Clock) {
    this.#url = url;
    this.#lastEventId = lastEventId;
    this.#clock = clock;
  }

  close(): void {
    this.#gone.abort(new Error('closed'));
  }

  async *events(): AsyncGenerator<StreamedEvent> {
    const response = await this.#watched(() => this.#ask());
    if (!response.ok) throw problemOf(response.status, await response.text());
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    if (reader === undefined) return;
    let text = '';
    for (;;) {
      const { done, value } = await this.#watched(() => reader.read());
      if (done) return;
      text += value;
      const blocks = text.split('\n\n');
      text = blocks.pop() ?? '';
      for (const block of blocks) {
        const event = parseEvent(block);
        if (event !== null) yield event;
      }
    }
  }

  #ask(): Promise<Response> {
    const resume = this.#lastEventId === '' ? {} : { 'last-event-id': this.#lastEventId };
    const headers = { accept: 'text/event-stream', ...resume };
    return fetch(this.#url, { headers, signal: this.#gone.signal });
  }

  /** A wait that silence ends. */
  async #watched<T>(wait: () => Promise<T>): Promise<T> {
    const silence = new Error(`nothing came for ${silenceMsMax / 1_000} s`);
    const timer = this.#clock.after(silenceMsMax, () => this.#gone.abort(silence));
    try {
      return await wait();
    } catch (thrown) {
      const cause = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown;
      const detail = `no answer from ${new URL(this.#url).origin} (${messageOf(cause)})`;
      throw new HoldfastError('UNREACHABLE', detail, { cause: thrown, retryable: true });
    } finally {
      timer.cancel();
    }
  }
}

/** Null for a block without an event: a comment, the time to retry. */
function parseEvent(block: string): StreamedEvent | null {
  let event: string | null = null;
  let id: string | null = null;
  const data: string[] = [];
  for (const line of block.split('\n')) {
    const [, name, value = ''] = /^(\w+): ?(.*)$/.exec(line) ?? [];
    if (name === 'event') event = value;
    if (name === 'id') id = value;
    if (name === 'data') data.push(value);
  }
  if (event === null) return null;
  return { event, id, data: JSON.parse(data.join('\n')) as Record<string, unknown> };
}

/** 429 and 503 pass; of others the request is to blame. */
function problemOf(status: number, text: string): HoldfastError {
  const { code, detail } = documentOf(text);
  const known = errorCodes.find((candidate): candidate is ErrorCode => candidate === code);
  return new HoldfastError(known ?? 'UNREACHABLE', detail ?? `status ${status}`, {
    retryable: status === 429 || status >= 500,
  });
}

function documentOf(text: string): { readonly code?: string; readonly detail?: string } {
  try {
    return JSON.parse(text) as { code?: string; detail?: string };
  } catch {
    return { detail: `no query-api answers there: ${JSON.stringify(text.slice(0, 60))}` };
  }
}
