import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { z } from 'zod';
import { warnUnauthenticated } from '../core/admin-server.ts';
import { HoldfastError, messageOf } from '../core/errors.ts';
import { type Component } from '../core/lifecycle.ts';
import { formatHostPort, isLoopback, listen, parseListenAddress } from '../core/listen-address.ts';
import { type Logger } from '../core/logger.ts';
import { type Metrics } from '../core/metrics.ts';
import { formatValueJson, valueType } from '../schemas/value.ts';
import { PathMalformed } from '../schemas/path.ts';
import { faultSchema } from './fault.ts';
import { type Fleet } from './fleet.ts';
import { leafChangeSchema, parseLeafValue } from './leaf-input.ts';

/**
 * The HTTP port of a simulator that runs as a process: what the devices know to be true, and what goes wrong with them.
 * For tests, demos and people; values are JSON texts as `schemas/value.ts` writes them, so 64-bit numbers are exact.
 *
 *   GET  /devices · /devices/NAME/truth · /devices/NAME/sequence · /metrics · /healthz · /readyz
 *   POST /pause · /resume · /devices/NAME/fault {kind, …} · /devices/NAME/leaf {set: path, value} or {delete: path}
 */
export interface ControlServerOptions {
  readonly listen: string;
  readonly fleet: Fleet;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

const bodyBytesMax = 1_048_576;

export class ControlServer implements Component {
  readonly name = 'simulator control port';
  readonly #options: ControlServerOptions;
  readonly #server: Server;
  #port = 0;

  constructor(options: ControlServerOptions) {
    this.#options = options;
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((thrown: unknown) => fail(response, thrown));
    });
  }

  /** `host:port`. */
  get address(): string {
    return formatHostPort(parseListenAddress(this.#options.listen).host ?? '127.0.0.1', this.#port);
  }

  async start(): Promise<void> {
    const address = parseListenAddress(this.#options.listen);
    this.#port = await listen(this.#server, address);
    if (!isLoopback(address)) warnUnauthenticated(this.#options.logger, this.#options.listen);
    this.#options.logger.info({ address: this.address }, 'simulator control port opened');
  }

  stop(): Promise<void> {
    if (!this.#server.listening) return Promise.resolve();
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? '/', 'http://local');
    const device = /^\/devices\/(?<name>[^/]+)\/(?<what>truth|sequence|fault|leaf)$/.exec(pathname)?.groups;
    const what = device === undefined ? pathname : device['what'];
    const name = decodeURIComponent(device?.['name'] ?? '');
    const route = `${request.method ?? ''} ${what ?? ''}`;
    if (route === 'GET /metrics') {
      const { registry } = this.#options.metrics;
      response.setHeader('content-type', registry.contentType).end(await registry.metrics());
      return;
    }
    const data = await this.#dataOf(route, name, request);
    if (data === undefined) throw new HoldfastError('ROUTE_UNKNOWN', `no route ${request.method ?? ''} ${pathname}`);
    send(response, 200, `{"status":"success","data":${typeof data === 'string' ? data : JSON.stringify(data)}}`);
  }

  /** An object, or JSON text that is already exact; undefined: no such route. */
  async #dataOf(route: string, name: string, request: IncomingMessage): Promise<object | string | undefined> {
    const { fleet } = this.#options;
    switch (route) {
      case 'GET /healthz':
      case 'GET /readyz':
        return { ready: true, reasons: [] };
      case 'GET /devices':
        return { paused: fleet.paused, devices: fleet.devices.map(summaryOf) };
      case 'GET truth':
        return formatTruth(fleet, name);
      case 'GET sequence':
        return { sequence: fleet.emitted(name).toString() };
      case 'POST /pause':
        fleet.pause();
        return { paused: true };
      case 'POST /resume':
        fleet.resume();
        return { paused: false };
      case 'POST fault':
        await fleet.device(name).apply(faultSchema.parse(await readJson(request)));
        return { active: fleet.device(name).activeFaults };
      case 'POST leaf':
        return changeLeaf(fleet, name, await readJson(request));
      default:
        return undefined;
    }
  }
}

function summaryOf(device: Fleet['devices'][number]): object {
  const { name, address, sequence, streams, activeFaults } = device;
  return { name, address, sequence: String(sequence), streams, faults: activeFaults };
}

function changeLeaf(fleet: Fleet, name: string, input: unknown): object {
  const change = leafChangeSchema.parse(input);
  const device = fleet.device(name);
  if ('delete' in change) return { deleted: device.deleteLeaves(change.delete) };
  device.setLeaf(change.set, parseLeafValue(change.value));
  return { set: change.set };
}

/** `value` is the text of contracts (`rfc7951`); `typed` says the kind as well, and both are exact. */
function formatTruth(fleet: Fleet, name: string): string {
  const leaves = [...fleet.truth(name)].map(([path, { value, timestampNs, sequence }]) => {
    const fields = [
      `"path":${JSON.stringify(path)}`,
      `"type":${JSON.stringify(valueType(value))}`,
      `"value":${formatValueJson(value, 'rfc7951')}`,
      `"typed":${formatValueJson(value, 'typed')}`,
      `"timestamp":"${timestampNs}"`,
      `"sequence":"${sequence}"`,
    ];
    return `{${fields.join(',')}}`;
  });
  return `{"device":${JSON.stringify(name)},"sequence":"${fleet.emitted(name)}","leaves":[${leaves.join(',')}]}`;
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bodyBytesMax) throw new HoldfastError('BODY_TOO_LARGE', `the body is over ${bodyBytesMax} bytes`);
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown;
  } catch (thrown) {
    throw new HoldfastError('BODY_INVALID', `the body is no JSON: ${messageOf(thrown)}`, { cause: thrown });
  }
}

function fail(response: ServerResponse, thrown: unknown): void {
  const known = ['DEVICE_UNKNOWN', 'ROUTE_UNKNOWN'];
  const code =
    thrown instanceof HoldfastError
      ? thrown.code
      : thrown instanceof z.ZodError
        ? 'BODY_INVALID'
        : thrown instanceof PathMalformed
          ? 'PATH_MALFORMED'
          : 'INTERNAL';
  const status = known.includes(code) ? 404 : code === 'INTERNAL' ? 500 : 400;
  const detail = thrown instanceof z.ZodError ? z.prettifyError(thrown) : messageOf(thrown);
  send(response, status, JSON.stringify({ code, title: code.toLowerCase().replaceAll('_', ' '), detail, status }));
}

function send(response: ServerResponse, status: number, body: string): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  response.statusCode = status;
  response.setHeader('content-type', status === 200 ? 'application/json' : 'application/problem+json');
  response.end(body);
}
