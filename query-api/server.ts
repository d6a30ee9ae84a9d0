/**
 * The HTTP server: Express carries the routes, and every error of theirs or its own leaves as a problem document.
 *
 * Q1. What is wrong with a request is refused before its route runs: URL length, parameters, media type, body.
 * Q2. The server listens before the tables are read, so that /healthz and /readyz answer while loading.
 * Q3. A server that only this machine reaches answers only those who mean it (`own-host.ts`).
 * Q4. No page of another origin changes anything: a browser asks before it sends a PUT, a DELETE or JSON, and we do not
 *     allow it; a POST without a body it sends at once, so there the page's origin is checked.
 * Q5. A client that sends half a request holds a connection for so long and no longer, and there are so many connections
 *     and no more.
 * Q6. Every answer says which instance it is of, refusals too: behind an address, or behind another instance, there are many.
 */
import express, {
  type ErrorRequestHandler,
  type Express,
  type Request,
  type RequestHandler,
  type Response,
} from 'express';
import { createServer, type Server, type ServerOptions } from 'node:http';
import { warnUnauthenticated } from '../core/admin-server.ts';
import { type Clock } from '../core/clock.ts';
import { HoldfastError, messageOf } from '../core/errors.ts';
import { type Component } from '../core/lifecycle.ts';
import { formatHostPort, isLoopback, listen, parseListenAddress } from '../core/listen-address.ts';
import { type Logger, RateLimited } from '../core/logger.ts';
import { headerText } from './header-text.ts';
import { type ConnectionLimits, type RequestLimits } from './request-limits.ts';
import { type FastState } from './fast-state.ts';
import { type QueryApiMetrics } from './metrics.ts';
import { isOwnHost } from './own-host.ts';
import { parseParameters } from './parameters.ts';
import { formatProblem, type Problem, problemOf } from './problem.ts';
import { type Answer, type ApiRequest, type Route } from './route.ts';
import { writeStream } from './stream-answer.ts';
import { Unreadable } from './unreadable.ts';

export interface ApiServerOptions {
  readonly instanceId: string;
  /** Checked listen setting. */
  readonly listen: string;
  readonly advertisedHost: string;
  readonly routes: readonly Route[];
  /** Answers what it can in front of the routes, as they would. */
  readonly fast?: Pick<FastState, 'answer'>;
  readonly limits: RequestLimits & ConnectionLimits;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Pick<QueryApiMetrics, 'requestSeconds'>;
}

interface Mounted {
  readonly route: Route;
  /** Of the query parameters that it takes; `null`: it reads the URL itself. */
  readonly names: readonly string[] | null;
}

/** Requests that are being answered get this long when the server stops. */
const stopGraceMs = 1_000;
const problemType = 'application/problem+json';

export class ApiServer implements Component {
  readonly name = 'HTTP server';
  readonly #options: ApiServerOptions;
  readonly #server: Server;
  readonly #unexpectedLines = new RateLimited();
  /** What ends each answer that goes on. */
  readonly #streams = new Set<AbortController>();
  readonly #forThisMachine: boolean;
  /** Clients say the same in every request. */
  #lastOwnHost: string | undefined;
  #port = 0;
  #stopping = false;

  constructor(options: ApiServerOptions) {
    this.#options = options;
    this.#forThisMachine = isLoopback(parseListenAddress(options.listen));
    const app = this.#app();
    const { fast } = options;
    const unreadable = new Unreadable(options);
    this.#server = createServer(serverOptions(options.limits), (request, response) => {
      // Q3 holds here too; a server that stops has more to say in its headers.
      const mayAnswer = fast !== undefined && !this.#stopping && this.#isMeant(request.headers.host);
      if (mayAnswer && fast.answer(request, response)) return;
      unreadable.begun(response);
      app(request, response);
    });
    this.#server.maxConnections = options.limits.maxConnections; // Q5
    this.#server.on('clientError', (thrown, socket) => unreadable.refuse(thrown, socket));
  }

  /** `host:port` under which others reach this server. */
  get address(): string {
    return formatHostPort(this.#options.advertisedHost, this.#port);
  }

  get port(): number {
    return this.#port;
  }

  async start(): Promise<void> {
    const address = parseListenAddress(this.#options.listen);
    this.#port = await listen(this.#server, address);
    if (!isLoopback(address)) warnUnauthenticated(this.#options.logger, this.#options.listen);
  }

  stop(): Promise<void> {
    this.#stopping = true;
    for (const stream of this.#streams) stream.abort(new Error('the server stops'));
    if (!this.#server.listening) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.#options.clock.after(stopGraceMs, () => this.#server.closeAllConnections());
      this.#server.close(() => {
        timer.cancel();
        resolve();
      });
      this.#server.closeIdleConnections();
    });
  }

  #app(): Express {
    const app = express();
    app.disable('x-powered-by');
    app.disable('etag'); // records have tags of their own
    app.enable('case sensitive routing');
    app.set('query parser', false);
    app.use(this.#checkHost(), this.#checkUrl());
    const paths = new Map<string, Route[]>();
    for (const route of this.#options.routes) paths.set(route.path, [...(paths.get(route.path) ?? []), route]);
    for (const [path, routes] of paths) this.#mount(app, path, routes);
    app.use((request: Request) => {
      throw new HoldfastError(
        'ROUTE_UNKNOWN',
        `there is no ${request.path.slice(0, 200)} here; /api/v1/docs shows what is`,
      );
    });
    app.use(this.#answerError());
    return app;
  }

  /** Q3. */
  #checkHost(): RequestHandler {
    return (request, _response, next) => {
      const { host } = request.headers;
      if (this.#isMeant(host)) {
        next();
        return;
      }
      const detail = `Host ${JSON.stringify((host ?? '').slice(0, 200))} is no name of this server, which serves this machine alone; use localhost, or name it in the setting advertisedHost`;
      throw new HoldfastError('PARAMETER_INVALID', detail, { facts: { header: 'Host' } });
    };
  }

  #isMeant(host: string | undefined): boolean {
    if (!this.#forThisMachine || (host !== undefined && host === this.#lastOwnHost)) return true;
    if (!isOwnHost(host, this.#options.advertisedHost)) return false;
    this.#lastOwnHost = host;
    return true;
  }

  #checkUrl(): RequestHandler {
    const { maxUrlBytes } = this.#options.limits;
    return (request, _response, next) => {
      if (request.url.length <= maxUrlBytes) {
        next();
        return;
      }
      const detail = `the URL has ${request.url.length} bytes, more than the ${maxUrlBytes} allowed`;
      throw new HoldfastError('PARAMETER_INVALID', detail, { facts: { maxUrlBytes } });
    };
  }

  #mount(app: Express, path: string, routes: readonly Route[]): void {
    const mounted = app.route(path);
    const parseBody = express.json({ limit: this.#options.limits.maxBodyBytes, strict: false });
    for (const route of routes) {
      const names = route.parameters === null ? null : Object.keys(route.parameters);
      const answer: RequestHandler = (request, response) => this.#answer({ route, names }, request, response);
      if (route.method === 'GET') mounted.get(answer);
      else if (route.method === 'PUT') mounted.put(requireJson, parseBody, answer);
      else if (route.method === 'POST' && route.about.body === undefined) mounted.post(requireOwnOrigin, answer);
      else if (route.method === 'POST') mounted.post(requireJson, parseBody, answer);
      else if (route.method === 'DELETE') mounted.delete(answer);
      else mounted.all(answer);
    }
    if (routes.some((route) => route.method === 'ANY')) return;
    const methods = routes.flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : [method]));
    mounted.all((request, response) => {
      response.setHeader('Allow', methods.join(', '));
      const detail = `${request.method.slice(0, 32)} is not for this route; it takes ${methods.join(', ')}`;
      throw new HoldfastError('METHOD_NOT_ALLOWED', detail, { facts: { allowed: methods } });
    });
  }

  async #answer({ route, names }: Mounted, request: Request, response: Response): Promise<void> {
    const startedMonotonicMs = this.#options.clock.monotonicMs();
    const gone = new AbortController();
    let observed = false;
    const observe = (): void => {
      if (observed) return;
      observed = true;
      const seconds = (this.#options.clock.monotonicMs() - startedMonotonicMs) / 1000;
      this.#options.metrics.requestSeconds.observe({ route: route.path, status: String(response.statusCode) }, seconds);
    };
    response.once('close', () => {
      observe();
      gone.abort(new Error('the client has gone'));
    });
    const { url } = request;
    const parameters =
      names === null ? new Map<string, string[]>() : parseParameters(url, names, this.#options.limits.maxPaths);
    const asked: ApiRequest = {
      method: request.method,
      url,
      params: request.params as Record<string, string | undefined>,
      parameters,
      header: (name) => request.get(name),
      body: request.body as unknown,
      remoteAddress: request.socket.remoteAddress ?? 'unknown',
      signal: gone.signal,
    };
    const answer = await route.answer(asked);
    if (!('stream' in answer)) {
      this.#send(response, answer);
      return;
    }
    this.#setHeaders(response, answer);
    observe(); // the time to its headers: it may go on for days
    this.#streams.add(gone);
    if (this.#stopping) gone.abort(new Error('the server stops'));
    await writeStream(response, answer, gone.signal).finally(() => this.#streams.delete(gone));
  }

  #answerError(): ErrorRequestHandler {
    // Express knows an error function by its four parameters.
    return (thrown: unknown, request, response, _next) => {
      if (response.destroyed || response.headersSent) {
        response.destroy();
        return;
      }
      const problem = problemOf(thrown);
      if (problem.unexpected) this.#logUnexpected(request.path, thrown);
      this.#send(response, problemAnswer(problem));
    };
  }

  #send(response: Response, answer: Answer): void {
    if (this.#stopping) response.setHeader('Connection', 'close'); // else an idle client holds up the stop
    this.#setHeaders(response, answer);
    if (answer.body === null) {
      response.end();
      return;
    }
    const body = typeof answer.body === 'string' ? Buffer.from(answer.body) : answer.body;
    response.setHeader('Content-Type', answer.contentType ?? 'application/json');
    response.setHeader('Content-Length', body.length);
    response.end(body);
  }

  #setHeaders(response: Response, answer: Pick<Answer, 'status' | 'headers'>): void {
    response.statusCode = answer.status;
    for (const [name, value] of Object.entries(answer.headers ?? {})) response.setHeader(name, value);
    const served = 'Holdfast-Served-By'; // Q6. An answer that was passed on has that of the other.
    if (!response.hasHeader(served)) response.setHeader(served, headerText(this.#options.instanceId));
    response.setHeader('Cache-Control', 'no-store');
    response.setHeader('X-Content-Type-Options', 'nosniff');
  }

  #logUnexpected(path: string, thrown: unknown): void {
    const suppressed = this.#unexpectedLines.pass(messageOf(thrown), this.#options.clock.monotonicMs());
    if (suppressed === undefined) return;
    this.#options.logger.error({ path: path.slice(0, 200), err: thrown, suppressed }, 'request failed');
  }
}

function serverOptions(limits: RequestLimits & ConnectionLimits): ServerOptions {
  const { maxUrlBytes, requestTimeoutMs } = limits;
  const headersTimeoutMs = Math.min(limits.headersTimeoutMs, requestTimeoutMs); // node wants them in this order
  return {
    // Above the limit on URLs, so that a long one reaches our own check and gets a problem document (Q1).
    maxHeaderSize: maxUrlBytes + 16_384,
    headersTimeout: headersTimeoutMs, // Q5
    requestTimeout: requestTimeoutMs, // Q5
    connectionsCheckingInterval: Math.ceil(headersTimeoutMs / 4),
  };
}

function problemAnswer(problem: Problem): Answer {
  const headers: Record<string, string> =
    problem.status === 503 || problem.status === 429 ? { 'Retry-After': '1' } : {};
  return { status: problem.status, body: formatProblem(problem), contentType: problemType, headers };
}

/** A body must be there and be JSON; body-parser would take anything else for an absent one. */
const requireJson: RequestHandler = (request, _response, next) => {
  if (request.headers['content-length'] === '0' || request.is('*/*') === null) {
    throw new HoldfastError('BODY_INVALID', 'the body is missing; send a JSON document', {
      facts: { problems: ['the body is missing'] },
    });
  }
  if (request.is('application/json') === false) {
    const detail = 'the body must be JSON, sent with Content-Type: application/json';
    throw new HoldfastError('MEDIA_TYPE_UNSUPPORTED', detail);
  }
  next();
};

/** Q4. Whoever is no browser sends no `Origin`. */
const requireOwnOrigin: RequestHandler = (request, _response, next) => {
  const { origin, host } = request.headers;
  if (origin === undefined || (URL.canParse(origin) && new URL(origin).host === host)) {
    next();
    return;
  }
  const detail = `Origin ${JSON.stringify(origin.slice(0, 200))} is another page's; changes are for pages of this server and for clients that are no browser`;
  throw new HoldfastError('PARAMETER_INVALID', detail, { facts: { header: 'Origin' } });
};
