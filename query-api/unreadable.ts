/**
 * Requests that never become one: what is not HTTP/1.1, has headers without end, or comes too slowly. They are answered on
 * the bare socket.
 *
 * UR1. Nothing is written into or before an answer that is under way: a proxy would hand it to the wrong client. Then the
 *      connection just ends.
 * UR2. A client that does not close its connection after such an answer is cut off.
 */
import { type ServerResponse } from 'node:http';
import { type Duplex } from 'node:stream';
import { type Clock } from '../core/clock.ts';
import { HoldfastError } from '../core/errors.ts';
import { headerText } from './header-text.ts';
import { type ConnectionLimits } from './request-limits.ts';
import { formatProblem, type Problem, problemOf } from './problem.ts';

/** Time to read the answer: a connection that is cut off with bytes unread loses what was last written to it. */
const lingerMs = 1_000;

export class Unreadable {
  readonly #instanceId: string;
  readonly #clock: Clock;
  readonly #limits: ConnectionLimits;
  /** Answers under way, by their connections. */
  readonly #open = new WeakMap<Duplex, Set<ServerResponse>>();

  constructor(options: { instanceId: string; clock: Clock; limits: ConnectionLimits }) {
    this.#instanceId = options.instanceId;
    this.#clock = options.clock;
    this.#limits = options.limits;
  }

  /** An answer is under way. */
  begun(response: ServerResponse): void {
    const { socket } = response.req;
    const open = this.#open.get(socket) ?? new Set();
    this.#open.set(socket, open.add(response));
    response.once('close', () => open.delete(response));
  }

  /** For the server's `clientError`. */
  refuse(thrown: NodeJS.ErrnoException, socket: Duplex): void {
    if (thrown.code === 'ECONNRESET' || !socket.writable || !this.#mayAnswer(socket)) {
      socket.destroy();
      return;
    }
    const problem = this.#problem(thrown.code);
    const body = formatProblem(problem);
    const reason = problem.status === 408 ? 'Request Timeout' : 'Bad Request';
    const head = [
      `HTTP/1.1 ${problem.status} ${reason}`,
      'Content-Type: application/problem+json',
      `Content-Length: ${Buffer.byteLength(body)}`,
      `Holdfast-Served-By: ${headerText(this.#instanceId)}`,
      'Connection: close',
    ];
    socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
    const timer = this.#clock.after(lingerMs, () => socket.destroy()); // UR2
    socket.once('close', () => timer.cancel());
  }

  /** UR1. A request whose own body is at fault has no answer yet; a later one waits for the answer before. */
  #mayAnswer(socket: Duplex): boolean {
    const [first, ...others] = this.#open.get(socket) ?? [];
    return first === undefined || (others.length === 0 && !first.headersSent && !first.req.complete);
  }

  #problem(code: string | undefined): Problem {
    if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
      const { headersTimeoutMs, requestTimeoutMs } = this.#limits;
      const detail = `the request did not come in time: its headers within ${headersTimeoutMs} ms (setting headersTimeoutMs), all of it within ${requestTimeoutMs} ms (setting requestTimeoutMs)`;
      const facts = { headersTimeoutMs, requestTimeoutMs };
      // 429 would say that the client asks too often.
      return { ...problemOf(new HoldfastError('LIMIT_EXCEEDED', detail, { facts })), status: 408 };
    }
    const tooLong = code === 'HPE_HEADER_OVERFLOW';
    const detail = tooLong ? 'the URL and headers are too long' : 'the request cannot be read as HTTP/1.1';
    return problemOf(new HoldfastError('PARAMETER_INVALID', detail));
  }
}
