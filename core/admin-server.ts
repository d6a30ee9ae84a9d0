import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type Component } from './lifecycle.ts';
import { formatHostPort, isLoopback, listen, parseListenAddress } from './listen-address.ts';
import { type Logger } from './logger.ts';
import { type Metrics } from './metrics.ts';

/** What `/readyz` answers: not ready always says why. */
export interface Readiness {
  readonly ready: boolean;
  readonly reasons: readonly string[];
}

export interface AdminServerOptions {
  /** Checked listen setting. */
  readonly listen: string;
  readonly advertisedHost: string;
  readonly metrics: Metrics;
  readonly readiness: () => Readiness;
  readonly logger: Logger;
}

/** `/metrics`, `/healthz` and `/readyz` for processes without an HTTP interface of their own. */
export class AdminServer implements Component {
  readonly name = 'admin server';
  readonly #options: AdminServerOptions;
  readonly #server: Server;
  #port = 0;

  constructor(options: AdminServerOptions) {
    this.#options = options;
    this.#server = createServer((request, response) => {
      answerAdmin(request, response, options).catch((thrown: unknown) => {
        response.destroy(thrown as Error);
      });
    });
  }

  /** `host:port` under which others reach this server. */
  get address(): string {
    return formatHostPort(this.#options.advertisedHost, this.#port);
  }

  async start(): Promise<void> {
    const address = parseListenAddress(this.#options.listen);
    this.#port = await listen(this.#server, address);
    if (!isLoopback(address)) warnUnauthenticated(this.#options.logger, this.#options.listen);
  }

  stop(): Promise<void> {
    if (!this.#server.listening) return Promise.resolve();
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }
}

/** Holdfast has no authentication yet, so a listener beyond loopback is worth a line. */
export function warnUnauthenticated(logger: Logger, address: string): void {
  logger.warn({ address }, 'listener has no authentication yet: keep it on a trusted network');
}

async function answerAdmin(
  request: IncomingMessage,
  response: ServerResponse,
  options: AdminServerOptions,
): Promise<void> {
  const path = new URL(request.url ?? '/', 'http://local').pathname;
  if (path === '/metrics') {
    response.setHeader('content-type', options.metrics.registry.contentType);
    response.end(await options.metrics.registry.metrics());
    return;
  }
  if (path === '/healthz') {
    sendJson(response, 200, { status: 'success', data: { healthy: true } });
    return;
  }
  if (path === '/readyz') {
    const readiness = options.readiness();
    sendJson(response, readiness.ready ? 200 : 503, { status: readiness.ready ? 'success' : 'error', data: readiness });
    return;
  }
  sendJson(response, 404, {
    code: 'ROUTE_UNKNOWN',
    title: 'unknown route',
    detail: 'try /metrics, /healthz or /readyz',
  });
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  response.statusCode = status;
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(body));
}
