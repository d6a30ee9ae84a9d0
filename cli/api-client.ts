import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { HoldfastError, messageOf } from '../core/errors.ts';

/** The HTTP interface of a query-api as the command line uses it: JSON in, `data` out, problems as errors. */
export class ApiClient {
  readonly base: string;

  constructor(base: string) {
    this.base = base.replace(/\/+$/, '');
  }

  /** The `data` of a successful answer, `null` for an empty one. Throws `HoldfastError` with the problem's detail. */
  async call(method: 'GET' | 'PUT' | 'POST' | 'DELETE', path: string, body?: unknown): Promise<unknown> {
    let response: Response;
    try {
      response = await fetch(`${this.base}${path}`, {
        method,
        ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
      });
    } catch (thrown) {
      const cause = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause.message : messageOf(thrown);
      throw new HoldfastError(
        'UNREACHABLE',
        `no answer from ${this.base} (${cause}); start one with \`npm start\`, or name another with --server URL`,
        { cause: thrown, retryable: true },
      );
    }
    const text = await response.text();
    const answer: unknown = text === '' ? {} : JSON.parse(text);
    if (!response.ok) throw problemOf(answer, response.status);
    return (answer as { data?: unknown }).data ?? null;
  }
}

function problemOf(answer: unknown, status: number): HoldfastError {
  const problem = answer as { code?: string; title?: string; detail?: string; problems?: readonly string[] };
  const lines = [problem.detail ?? problem.title ?? `status ${status}`, ...(problem.problems ?? [])];
  return new HoldfastError('INTERNAL', `${problem.code ?? status}: ${lines.join('\n  ')}`, { facts: { status } });
}

/** Where commands send requests: `--server`, then HOLDFAST_SERVER, then the running `holdfast dev`, then port 8080. */
export function serverUrl(flag: string | undefined, env: Readonly<Record<string, string | undefined>>): string {
  const named = flag ?? env['HOLDFAST_SERVER'];
  if (named !== undefined) return named.includes('://') ? named : `http://${named}`;
  const http = devHttpAddress(env['HOLDFAST_DATA_DIR'] ?? '.holdfast');
  return `http://${http ?? '127.0.0.1:8080'}`;
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
