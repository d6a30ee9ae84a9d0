import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { type Clock } from '../clock.ts';

/**
 * The few requests to a Confluent-compatible registry that the registry library has no call for: the compatibility
 * level, the version of a schema, the text of an id.
 */
export interface RegistryAccess {
  /** Without a slash at the end; may have a path. */
  readonly url: string;
  readonly auth?: { readonly username: string; readonly password: string };
  /** PEM text. */
  readonly ca?: string;
  readonly clock: Clock;
}

/** A registry's refusal, or no answer at all (`status` 0). */
export class RegistryFailure extends Error {
  readonly status: number;

  constructor(status: number, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'RegistryFailure';
    this.status = status;
  }

  /** The same request may succeed later without anybody changing anything. */
  get retryable(): boolean {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

export interface SchemaBody {
  readonly schemaType: 'PROTOBUF';
  readonly schema: string;
  readonly references: readonly { readonly name: string; readonly subject: string; readonly version: number }[];
}

const timeoutMs = 5_000;
const responseBytesMax = 4_194_304;

export class RegistryClient {
  readonly #access: RegistryAccess;

  constructor(access: RegistryAccess) {
    this.#access = access;
  }

  /** Resolves when the registry answers at all. @throws RegistryFailure */
  async answers(signal: AbortSignal): Promise<void> {
    await this.#ask('GET', '/config', signal);
  }

  /** The level in force for a subject: its own, else the registry's. */
  async compatibility(subject: string, signal: AbortSignal): Promise<string> {
    const own = await this.#ask('GET', `/config/${encodeURIComponent(subject)}`, signal);
    const found = own ?? (await this.#ask('GET', '/config', signal));
    return (textIn(found, 'compatibilityLevel') ?? textIn(found, 'compatibility') ?? 'NONE').toUpperCase();
  }

  /** Null: the subject does not have this schema. */
  async find(subject: string, body: SchemaBody, signal: AbortSignal): Promise<{ id: number; version: number } | null> {
    const found = await this.#ask('POST', `/subjects/${encodeURIComponent(subject)}`, signal, body);
    const id = numberIn(found, 'id');
    const version = numberIn(found, 'version');
    return id === null || version === null ? null : { id, version };
  }

  /** Null: there is no such id. */
  async textOf(id: number, signal: AbortSignal): Promise<string | null> {
    return textIn(await this.#ask('GET', `/schemas/ids/${id}`, signal), 'schema');
  }

  /** The parsed answer; null for 404. @throws RegistryFailure */
  async #ask(method: string, path: string, signal: AbortSignal, body?: object): Promise<unknown> {
    const { status, text } = await this.#request(method, path, signal, body);
    if (status === 404) return null;
    const answer = parse(text);
    if (status >= 200 && status < 300 && answer !== null) return answer;
    const said = textIn(answer, 'message') ?? text.slice(0, 200);
    throw new RegistryFailure(status, `${method} ${path} answered ${status}: ${said}`);
  }

  #request(
    method: string,
    path: string,
    signal: AbortSignal,
    body?: object,
  ): Promise<{ status: number; text: string }> {
    const { url, auth, ca, clock } = this.#access;
    return new Promise((resolve, reject) => {
      const timedOut = new AbortController();
      const timer = clock.after(timeoutMs, () => timedOut.abort());
      const fail = (thrown: Error): void => {
        timer.cancel();
        const why = timedOut.signal.aborted ? `no answer within ${timeoutMs} ms` : thrown.message;
        reject(signal.aborted ? (signal.reason as Error) : new RegistryFailure(0, `${method} ${path}: ${why}`, thrown));
      };
      const options = {
        method,
        signal: AbortSignal.any([signal, timedOut.signal]),
        agent: false as const, // one connection per request: these are made at start, and hardly ever after
        headers: {
          accept: 'application/vnd.schemaregistry.v1+json',
          ...(body === undefined ? {} : { 'content-type': 'application/vnd.schemaregistry.v1+json' }),
        },
        ...(auth === undefined ? {} : { auth: `${auth.username}:${auth.password}` }),
        ...(ca === undefined ? {} : { ca }),
      };
      const send = url.startsWith('https:') ? requestHttps : requestHttp;
      const request = send(url + path, options, (response) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        response.on('data', (chunk: Buffer) => {
          chunks.push(chunk);
          bytes += chunk.length;
          if (bytes > responseBytesMax) response.destroy(new Error(`answer of more than ${responseBytesMax} bytes`));
        });
        response.on('error', fail);
        response.on('end', () => {
          timer.cancel();
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') });
        });
      });
      request.on('error', fail);
      request.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function textIn(answer: unknown, name: string): string | null {
  const value = fieldIn(answer, name);
  return typeof value === 'string' ? value : null;
}

function numberIn(answer: unknown, name: string): number | null {
  const value = fieldIn(answer, name);
  return typeof value === 'number' ? value : null;
}

function fieldIn(answer: unknown, name: string): unknown {
  return typeof answer === 'object' && answer !== null ? Reflect.get(answer, name) : undefined;
}
