/** A small HTTP server whose answers a test writes down, and the command line run against it. */
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { runCli } from '../../cli/cli.ts';
import { type ExitCode } from '../../cli/context.ts';
import { systemClock } from '../../core/clock.ts';
import { listen } from '../../core/listen-address.ts';
import { seededRandom } from '../../core/random.ts';

export interface Asked {
  /** Method and URL as they came. */
  readonly line: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Scripted {
  readonly status?: number;
  /** An object is sent as JSON, a text as it is. */
  readonly body?: object | string;
}

export interface CliRun {
  readonly code: ExitCode;
  readonly out: string;
  readonly err: string;
}

export async function startScriptedServer() {
  const asked: Asked[] = [];
  const answers = new Map<string, Scripted>();
  const changing = new Map<string, Scripted[]>();
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const line = `${request.method} ${request.url}`;
      asked.push({ line, headers: request.headers, body: Buffer.concat(parts).toString() });
      const next = changing.get(line)?.shift();
      if (next !== undefined) answers.set(line, next);
      const { status = 200, body } = answers.get(line) ?? { status: 404, body: `not scripted: ${line}` };
      response.writeHead(status, { connection: 'close' });
      response.end(typeof body === 'object' ? JSON.stringify(body) : body);
    });
  });
  const port = await listen(server, { host: '127.0.0.1', port: 0 });
  const address = `127.0.0.1:${port}`;
  const run = async (...args: string[]): Promise<CliRun> => {
    const lines = { out: [] as string[], err: [] as string[] };
    const code = await runCli(args, {
      env: { HOLDFAST_SERVER: address, USER: 'zoë' },
      clock: { ...systemClock, nowMs: () => 1_795_246_500_000 },
      random: seededRandom(1),
      print: (line) => lines.out.push(line),
      printError: (line) => lines.err.push(line),
      isTerminal: false,
      installRoot: '/nowhere',
      mainFile: '/nowhere',
      exitNow: (exitCode) => {
        throw new Error(`exit ${exitCode}`);
      },
    });
    return { code, out: lines.out.join('\n'), err: lines.err.join('\n') };
  };
  return {
    address,
    asked,
    run,
    /** Writes down the answer to a request, by its method and URL. */
    answer: (line: string, body?: object | string, status = 200) =>
      void answers.set(line, { status, ...(body === undefined ? {} : { body }) }),
    /** As `answer`, in the envelope of a success. */
    data: (line: string, data: object, more: object = {}) =>
      void answers.set(line, { body: { status: 'success', data, ...more } }),
    /** As `data`, one after another; the last one stays. */
    series: (line: string, datas: readonly object[]) =>
      void changing.set(
        line,
        datas.map((data) => ({ body: { status: 'success', data } })),
      ),
    /** As `answer` with a text, one after another; the last one stays. */
    texts: (line: string, texts: readonly string[]) =>
      void changing.set(
        line,
        texts.map((body) => ({ body })),
      ),
    stop: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

export type ScriptedServer = Awaited<ReturnType<typeof startScriptedServer>>;
