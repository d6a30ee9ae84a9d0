/**
 * What a single-leaf GET costs: CPU of the server's process per request, against a bare node:http handler that returns
 * the same bytes and headers. Target: at most twice. `npx tsx bench/http-get.ts [rounds]`
 *
 * The servers are processes of their own: the real ApiServer over a real store (no Kafka), the same without the fast
 * answer, and two bare handlers (body as bytes, body as text; the cheaper one counts). This process asks, over
 * connections that stay open, in rounds that alternate.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { connect, type Socket } from 'node:net';

const connections = 32;
const requestsPerRound = 9_600;
const kinds = ['bare-bytes', 'bare-text', 'fast', 'express'] as const;
type Kind = (typeof kinds)[number];

interface Served {
  readonly kind: Kind;
  readonly process: ChildProcess;
  readonly port: number;
  readonly microseconds: number[];
}

/** A question to a child, by its answer. */
function tell<T>(child: ChildProcess, message: unknown): Promise<T> {
  return new Promise((resolve) => {
    child.once('message', (answer: unknown) => resolve(answer as T));
    child.send(message as object);
  });
}

async function serve(kind: Kind): Promise<Served> {
  const child = fork(new URL('./http-get-server.ts', import.meta.url), [kind], { execArgv: ['--import', 'tsx'] });
  const port = await new Promise<number>((resolve) => child.once('message', (answer) => resolve(answer as number)));
  return { kind, process: child, port, microseconds: [] };
}

/** One connection that asks `count` times, one request after another; resolves with the first answer. */
function askMany(port: number, requests: readonly Buffer[], count: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let asked = 0;
    let missing = 0;
    let first = '';
    const socket: Socket = connect(port, '127.0.0.1', next);
    function next(): void {
      if (asked === count) {
        socket.destroy();
        resolve(first);
        return;
      }
      socket.write(requests[asked % requests.length] as Buffer);
      asked += 1;
    }
    socket.on('data', (bytes) => {
      if (missing === 0) {
        const text = bytes.toString('latin1');
        if (first === '') first = text;
        if (!text.startsWith('HTTP/1.1 200')) reject(new Error(text));
        const head = text.indexOf('\r\n\r\n') + 4;
        missing = head + Number(/content-length: (\d+)/i.exec(text)?.[1]);
      }
      missing -= bytes.length;
      if (missing === 0) next();
    });
    socket.on('error', reject);
  });
}

async function round(served: Served, requests: number): Promise<string> {
  const { cpu: before } = await tell<{ cpu: number }>(served.process, 'cpu');
  const paths = Array.from({ length: 64 }, (_, n) =>
    encodeURIComponent(`/interfaces/interface[name=et-0/0/${n}]/state/counters/in-octets`),
  );
  const texts = paths.map((path, n) =>
    Buffer.from(
      `GET /api/v1/devices/leaf-${n % 20}/state?path=${path} HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nAccept: */*\r\nUser-Agent: bench\r\n\r\n`,
    ),
  );
  const answers = await Promise.all(
    Array.from({ length: connections }, () => askMany(served.port, texts, requests / connections)),
  );
  const { cpu: after } = await tell<{ cpu: number }>(served.process, 'cpu');
  served.microseconds.push((after - before) / requests);
  return answers[0] ?? '';
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;

async function main(): Promise<void> {
  const rounds = Number(process.argv[2] ?? 7);
  const all: Served[] = [];
  for (const kind of kinds) all.push(await serve(kind));
  const example: Partial<Record<Kind, string>> = {};
  for (const served of all) example[served.kind] = await round(served, requestsPerRound); // warm
  for (const served of all) served.microseconds.length = 0;
  for (let n = 0; n < rounds; n += 1) for (const served of all) await round(served, requestsPerRound);
  const shape = (text = ''): string => text.replace(/\d+/g, '0');
  for (const kind of kinds) {
    if (shape(example[kind]) !== shape(example.fast))
      throw new Error(`${kind} answers otherwise:\n${example[kind] ?? ''}\n${example.fast ?? ''}`);
  }
  console.log(
    `${example.fast?.length ?? 0} bytes an answer, ${connections} connections, ${rounds} rounds of ${requestsPerRound}`,
  );
  for (const { kind, microseconds } of all) {
    console.log(
      `${kind.padEnd(10)} ${median(microseconds).toFixed(1)} µs CPU a request (${microseconds.map((one) => one.toFixed(1)).join(' ')})`,
    );
  }
  const of = (kind: Kind): readonly number[] => all.find((served) => served.kind === kind)?.microseconds ?? [];
  const ratios = of('fast').map((fast, n) => fast / Math.min(of('bare-bytes')[n] ?? 0, of('bare-text')[n] ?? 0));
  console.log(
    `fast / bare: ${median(ratios).toFixed(2)} (median of the rounds' ratios; bare is the cheaper of the two in each round)`,
  );
  for (const served of all) served.process.kill();
}

await main();
