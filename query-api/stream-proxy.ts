/**
 * A stream about slots that another instance holds: asked for there, passed on as it comes.
 *
 * SP1. Nothing is read from the peer before the client has taken what came before: a slow client slows its own stream at
 *      the peer, which merges or reads again as it does for its own clients, and costs nothing here.
 * SP2. When either side ends, so does the other; the client comes back with its cursor, to whoever answers then.
 * SP3. A peer that is silent for three heartbeats of the stream is not there.
 */
import { type IncomingMessage } from 'node:http';
import { type Clock } from '../core/clock.ts';
import { messageOf } from '../core/errors.ts';
import { headerText } from './header-text.ts';
import { type PeerClient, type PeerRequest } from './peer-client.ts';
import { type PeerExperience } from './peer-experience.ts';
import { type Candidate } from './candidate.ts';
import { type StreamAnswer, type StreamSink } from './stream-answer.ts';

export type Opened =
  | { readonly kind: 'stream'; readonly answer: StreamAnswer; readonly attempts: number }
  | { readonly kind: 'nobody'; readonly told: readonly string[] };

export interface StreamProxyOptions {
  readonly client: Pick<PeerClient, 'openAlone'>;
  readonly experience: PeerExperience;
  readonly clock: Clock;
}

const headersMsMax = 1_000;
/** A stream says something every 15 s. */
const silenceMsMax = 45_000;

export class StreamProxy {
  readonly #options: StreamProxyOptions;

  constructor(options: StreamProxyOptions) {
    this.#options = options;
  }

  /** Asks one after the other for the headers of a stream. Rejects when `signal` aborts. */
  async open(request: PeerRequest, order: readonly Candidate[], signal: AbortSignal): Promise<Opened> {
    const told: string[] = [];
    for (const [n, candidate] of order.entries()) {
      const { response, problem } = await this.#ask(candidate, request, signal);
      if (response !== null) return { kind: 'stream', answer: this.#answer(response), attempts: n + 1 };
      told.push(`${candidate.instance}: ${problem}`);
    }
    return { kind: 'nobody', told };
  }

  async #ask(
    candidate: Candidate,
    request: PeerRequest,
    signal: AbortSignal,
  ): Promise<{ response: IncomingMessage; problem: null } | { response: null; problem: string }> {
    const { client, experience, clock } = this.#options;
    const end = experience.begin(candidate.instance);
    const startedMonotonicMs = clock.monotonicMs();
    const late = new AbortController();
    const timer = clock.after(headersMsMax, () => late.abort(new Error('no answer in time')));
    try {
      const response = await client.openAlone(candidate, request, AbortSignal.any([signal, late.signal]));
      const ms = clock.monotonicMs() - startedMonotonicMs;
      const problem = notOurStream(candidate, response);
      if (problem === null) {
        end({ kind: 'answered', ms });
        return { response, problem };
      }
      response.destroy();
      end(response.statusCode === 503 ? { kind: 'refused', ms } : { kind: 'failed' });
      return { response: null, problem };
    } catch (thrown) {
      end(signal.aborted ? { kind: 'abandoned' } : { kind: 'failed' });
      signal.throwIfAborted();
      return { response: null, problem: messageOf(late.signal.aborted ? late.signal.reason : thrown) };
    } finally {
      timer.cancel();
    }
  }

  #answer(response: IncomingMessage): StreamAnswer {
    const headers: Record<string, string> = {};
    for (const name of ['Holdfast-Age-Ms', 'Holdfast-Served-By', 'X-Accel-Buffering']) {
      const value = response.headers[name.toLowerCase()];
      if (typeof value === 'string') headers[name] = headerText(value);
    }
    return {
      status: 200,
      contentType: 'text/event-stream',
      headers,
      stream: (sink) => this.#pass(response, sink),
    };
  }

  async #pass(response: IncomingMessage, sink: StreamSink): Promise<void> {
    const { clock } = this.#options;
    const end = (): void => void response.destroy();
    sink.signal.addEventListener('abort', end, { once: true }); // SP2
    let silence = clock.after(silenceMsMax, end); // SP3
    try {
      for await (const text of response.setEncoding('utf8') as AsyncIterable<string>) {
        silence.cancel();
        await drained(sink, text); // SP1
        silence = clock.after(silenceMsMax, end);
      }
    } catch {
      // The peer, or the client, has gone: the stream ends, and is taken up again at its cursor (SP2).
    } finally {
      silence.cancel();
      sink.signal.removeEventListener('abort', end);
      response.destroy();
    }
  }
}

/** `null`: it is a stream of this instance. */
function notOurStream(candidate: Candidate, response: IncomingMessage): string | null {
  const { statusCode = 0, headers } = response;
  if (statusCode !== 200) return `HTTP ${statusCode}`;
  const isStream = headers['content-type']?.startsWith('text/event-stream') === true;
  return isStream && headers['holdfast-served-by'] === headerText(candidate.instance)
    ? null
    : 'no stream of that instance';
}

function drained(sink: StreamSink, text: string): Promise<void> {
  return new Promise((resolve) => {
    if (sink.signal.aborted) {
      resolve();
      return;
    }
    const done = (): void => {
      sink.signal.removeEventListener('abort', done);
      resolve();
    };
    sink.signal.addEventListener('abort', done, { once: true });
    sink.write(text, done);
  });
}
