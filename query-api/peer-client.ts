/**
 * One request to one other instance over HTTP, its answer taken whole and looked at.
 *
 * PC1. An answer counts only if it is of the instance that was meant: an address may have passed to another process.
 * PC2. No clock but ours: an answer is as old as it says, and the time since we asked. A peer that is stopped between
 *      judging itself and answering hands in an old answer with a young age.
 * PC3. What an answer may take of our memory is bounded.
 * PC4. Only headers of a closed list pass, either way.
 */
import { Agent, type IncomingHttpHeaders, type IncomingMessage, request as httpRequest } from 'node:http';
import { type Clock } from '../core/clock.ts';
import { messageOf } from '../core/errors.ts';
import { type Component } from '../core/lifecycle.ts';
import { headerText } from './header-text.ts';

export interface Peer {
  readonly instance: string;
  /** `host:port` */
  readonly http: string;
}

export interface PeerRequest {
  /** Path and query, as it arrived. */
  readonly url: string;
  header(name: string): string | undefined;
}

export interface PeerAnswer {
  readonly kind: 'answer';
  readonly status: number;
  readonly contentType: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** At most, by now (PC2); `null` on an answer that is not about state. */
  readonly stalenessMs: number | null;
}

export type PeerReply =
  | PeerAnswer
  /** It says itself that it may not answer. */
  | { readonly kind: 'refused'; readonly code: 'TOO_STALE' | 'NOT_CAUGHT_UP'; readonly detail: string }
  | { readonly kind: 'failed'; readonly detail: string }
  /** Longer than `answerBytesMax`: whoever asks has to ask that instance itself. */
  | { readonly kind: 'too-large' };

/** 32 MiB: three times the largest answer of the default `maxLeaves`. */
const answerBytesMax = 33_554_432;
/** Below the 5 s after which Node's server closes an idle connection, so that we do not send into a closing one. */
const idleMs = 4_000;
const socketsPerPeerMax = 128;
const headersThere = ['accept', 'authorization', 'last-event-id', 'traceparent', 'tracestate', 'x-request-id'];
const headersBack = ['holdfast-cursor', 'holdfast-served-by', 'holdfast-owner', 'retry-after'];

export class PeerClient implements Component {
  readonly name = 'requests to other instances';
  readonly #agent = new Agent({
    keepAlive: true,
    maxSockets: socketsPerPeerMax,
    maxFreeSockets: 32,
    timeout: idleMs,
    scheduling: 'lifo',
  });
  readonly #self: string;
  readonly #clock: Clock;

  constructor(options: { readonly self: string; readonly clock: Clock }) {
    this.#self = options.self;
    this.#clock = options.clock;
  }

  /** `onBytes` is called whenever something came. Rejects when `signal` aborts, and only then. */
  async ask(peer: Peer, request: PeerRequest, onBytes: () => void, signal: AbortSignal): Promise<PeerReply> {
    const askedMonotonicMs = this.#clock.monotonicMs();
    let response: IncomingMessage;
    let body: Buffer | null;
    try {
      response = await this.open(peer, request, signal);
      onBytes();
      body = await readWhole(response, onBytes, signal);
    } catch (thrown) {
      signal.throwIfAborted();
      return { kind: 'failed', detail: messageOf(thrown) };
    }
    if (body === null) return { kind: 'too-large' };
    return judge(peer, response, body, this.#clock.monotonicMs() - askedMonotonicMs);
  }

  /** The answer with its body still to come. A connection that was kept and is closed meanwhile is made anew once. */
  async open(peer: Peer, request: PeerRequest, signal: AbortSignal): Promise<IncomingMessage> {
    const first = await this.#send(peer, request, { kept: true, signal });
    return first ?? ((await this.#send(peer, request, { kept: false, signal })) as IncomingMessage);
  }

  /** On a connection of its own: for a stream, which would hold one of those that are shared. */
  async openAlone(peer: Peer, request: PeerRequest, signal: AbortSignal): Promise<IncomingMessage> {
    return (await this.#send(peer, request, { kept: false, signal })) as IncomingMessage;
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#agent.destroy();
    return Promise.resolve();
  }

  /** `null`: the peer had closed the connection that we kept; nothing is wrong with it. */
  #send(
    peer: Peer,
    request: PeerRequest,
    { kept, signal }: { kept: boolean; signal: AbortSignal },
  ): Promise<IncomingMessage | null> {
    const { hostname, port } = new URL(`http://${peer.http}`);
    const headers: Record<string, string> = { 'Holdfast-Forwarded-By': headerText(this.#self) };
    for (const name of headersThere) {
      const value = request.header(name);
      if (value !== undefined) headers[name] = value; // PC4
    }
    return new Promise((resolve, reject) => {
      const asked = httpRequest(
        {
          hostname: hostname.replace(/^\[|\]$/g, ''),
          port,
          path: request.url,
          method: 'GET',
          headers,
          agent: kept ? this.#agent : false,
          signal,
        },
        resolve,
      );
      asked.on('error', (error: NodeJS.ErrnoException) => {
        const closedBefore = kept && asked.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
        if (closedBefore && !signal.aborted) resolve(null);
        else reject(error);
      });
      asked.end();
    });
  }
}

/** `null`: longer than may be (PC3). */
async function readWhole(response: IncomingMessage, onBytes: () => void, signal: AbortSignal): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    signal.throwIfAborted();
    onBytes();
    length += chunk.length;
    if (length > answerBytesMax) {
      response.destroy();
      return null;
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function judge(peer: Peer, response: IncomingMessage, body: Buffer, elapsedMs: number): PeerReply {
  const { statusCode: status = 0, headers } = response;
  const contentType = headers['content-type'] ?? '';
  const servedBy = headers['holdfast-served-by'];
  if (servedBy !== headerText(peer.instance)) {
    const who = JSON.stringify(servedBy ?? null).slice(0, 100);
    return { kind: 'failed', detail: `HTTP ${status}, answered by ${who}` }; // PC1
  }
  if (status === 200) return judgeState(headers, body, elapsedMs);
  const problem = contentType.startsWith('application/problem+json') ? parseProblem(body) : null;
  if (problem === null) return { kind: 'failed', detail: `HTTP ${status} that is no problem document` };
  if (status === 503) {
    const code = problem.code === 'TOO_STALE' ? 'TOO_STALE' : 'NOT_CAUGHT_UP';
    return { kind: 'refused', code, detail: problem.detail };
  }
  // We know the device, or we would not have asked: its tables are behind ours.
  if (status === 404) return { kind: 'refused', code: 'NOT_CAUGHT_UP', detail: problem.detail };
  if (status >= 500) return { kind: 'failed', detail: `HTTP ${status} ${problem.code}` };
  return { kind: 'answer', status, contentType, headers: passed(headers), body, stalenessMs: null };
}

function judgeState(headers: IncomingHttpHeaders, body: Buffer, elapsedMs: number): PeerReply {
  const contentType = headers['content-type'] ?? '';
  const age = headers['holdfast-age-ms'];
  const isJson = contentType.startsWith('application/json') && body[0] === 0x7b && body.at(-1) === 0x7d;
  if (typeof age !== 'string' || !/^\d{1,15}$/.test(age) || !isJson) {
    return { kind: 'failed', detail: 'what came is no answer about state' };
  }
  const stalenessMs = Math.ceil(Number(age) + elapsedMs); // PC2
  return { kind: 'answer', status: 200, contentType, headers: passed(headers), body, stalenessMs };
}

function passed(headers: IncomingHttpHeaders): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const name of headersBack) {
    const value = headers[name];
    if (typeof value === 'string') kept[name] = headerText(value); // PC4
  }
  return kept;
}

function parseProblem(body: Buffer): { code: string; detail: string } | null {
  try {
    const { code, detail } = JSON.parse(body.toString()) as Record<string, unknown>;
    return typeof code === 'string' ? { code, detail: typeof detail === 'string' ? detail : '' } : null;
  } catch {
    return null;
  }
}
