import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock } from '../core/clock.ts';
import { type ErrorCode, errorCodes, HoldfastError, messageOf } from '../core/errors.ts';

export interface ApiClientOptions {
  /** With it, a server that does not answer is given up after `timeoutMs`. */
  readonly clock?: Clock;
  readonly timeoutMs?: number;
  /** Who is recorded as the author of changes. */
  readonly user?: string;
}

type Method = 'GET' | 'PUT' | 'POST' | 'DELETE';

export interface ApiAnswer {
  /** `null` for an empty answer. */
  readonly data: unknown;
  readonly warnings: readonly string[];
}

/** A change of thousands of devices is durable within seconds; nothing takes longer. */
const defaultTimeoutMs = 60_000;

/** The HTTP interface of a query-api as the command line uses it: JSON in, `data` out, problems as errors. */
export class ApiClient {
  readonly base: string;
  readonly #options: ApiClientOptions;

  constructor(base: string, options: ApiClientOptions = {}) {
    this.base = base.replace(/\/+$/, '');
    this.#options = options;
  }

  /** The `data` of a successful answer. Throws `HoldfastError` with the code and the detail of the problem. */
  async call(method: Method, path: string, body?: unknown): Promise<unknown> {
    return (await this.send(method, path, body)).data;
  }

  /** As `call`, with the warnings beside the data. */
  async send(method: Method, path: string, body?: unknown): Promise<ApiAnswer> {
    const { status, ok, text } = await this.#fetch(method, path, body);
    if (text === '' && ok) return { data: null, warnings: [] };
    const answer = parseAnswer(text);
    if (answer === undefined) {
      const start = JSON.stringify(text.slice(0, 60));
      throw new HoldfastError('UNREACHABLE', `${this.base} is no query-api: status ${status}, ${start}`);
    }
    if (!ok) throw problemOf(answer, status);
    const { data = null, warnings = [] } = answer as { data?: unknown; warnings?: readonly string[] };
    return { data, warnings };
  }

  /** All items of a list that comes in pages, each as long as the server likes. */
  async pages(path: string, query: URLSearchParams, name: string): Promise<readonly unknown[]> {
    return (await this.whole(path, query, name))[name] as readonly unknown[];
  }

  /** As `pages`, with what the answer says beside the list. */
  async whole(path: string, query: URLSearchParams, name: string): Promise<Record<string, unknown>> {
    const items: unknown[] = [];
    const asked = new URLSearchParams(query);
    for (;;) {
      const page = (await this.call('GET', asked.size === 0 ? path : `${path}?${asked.toString()}`)) as Record<
        string,
        unknown
      >;
      for (const item of page[name] as readonly unknown[]) items.push(item);
      const { next } = page;
      if (typeof next !== 'string') return { ...page, [name]: items };
      asked.set('next', next);
    }
  }

  async #fetch(method: Method, path: string, body: unknown): Promise<{ status: number; ok: boolean; text: string }> {
    const { clock, user, timeoutMs = defaultTimeoutMs } = this.#options;
    const waiting = new AbortController();
    const timer = clock?.after(timeoutMs, () => waiting.abort(new Error(`nothing came within ${timeoutMs / 1000} s`)));
    const headers: Record<string, string> = {};
    if (body !== undefined) headers['content-type'] = 'application/json';
    if (user !== undefined && method !== 'GET') headers['holdfast-user'] = Buffer.from(user).toString('latin1');
    try {
      const init = {
        method,
        headers,
        signal: waiting.signal,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      };
      const response = await fetch(`${this.base}${path}`, init);
      return { status: response.status, ok: response.ok, text: await response.text() };
    } catch (thrown) {
      const cause = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause.message : messageOf(thrown);
      throw new HoldfastError(
        'UNREACHABLE',
        `no answer from ${this.base} (${cause}); start one with \`npm start\`, or name another with --server URL`,
        { cause: thrown, retryable: true },
      );
    } finally {
      timer?.cancel();
    }
  }
}

function parseAnswer(text: string): object | undefined {
  try {
    const answer: unknown = JSON.parse(text);
    return typeof answer === 'object' && answer !== null ? answer : undefined;
  } catch {
    return undefined;
  }
}

function problemOf(answer: object, status: number): HoldfastError {
  const {
    code,
    title,
    detail,
    problems = [],
  } = answer as {
    code?: string;
    title?: string;
    detail?: string;
    problems?: readonly string[];
  };
  const known = errorCodes.find((candidate): candidate is ErrorCode => candidate === code);
  // With several problems the detail is the first of them again.
  const told =
    problems.length > 0 ? `${title ?? ''}\n  ${problems.join('\n  ')}` : (detail ?? title ?? `status ${status}`);
  return new HoldfastError(known ?? 'INTERNAL', told, { facts: { status } });
}

/**
 * Where commands send requests: `--server`, then HOLDFAST_SERVER, then the running `holdfast dev`, then port 8080.
 * Throws `SETTING_INVALID`.
 */
export function serverUrl(flag: string | undefined, env: Readonly<Record<string, string | undefined>>): string {
  const named = flag ?? env['HOLDFAST_SERVER'];
  if (named === undefined) {
    const http = devHttpAddress(env['HOLDFAST_DATA_DIR'] ?? '.holdfast');
    return `http://${http ?? '127.0.0.1:8080'}`;
  }
  const url = named.includes('://') ? named : `http://${named}`;
  if (URL.canParse(url) && /^https?:/.test(url)) return url;
  const source = flag === undefined ? 'HOLDFAST_SERVER' : '--server';
  throw new HoldfastError(
    'SETTING_INVALID',
    `${source}: ${JSON.stringify(named)} is no address; write host:port or an http URL`,
  );
}

function devHttpAddress(dataDir: string): string | undefined {
  try {
    const dev = JSON.parse(readFileSync(join(dataDir, 'dev.json'), 'utf8')) as {
      parts?: readonly { part: string; http?: string }[];
    };
    return dev.parts?.find((part) => part.part === 'query-api')?.http;
  } catch {
    return undefined; // no `holdfast dev` here
  }
}
