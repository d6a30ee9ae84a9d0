import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { eventually } from './eventually.ts';

/** Says `line` to the first connection and then does nothing but wait for a byte: to end it, and after that for good. */
const script = `
  const { readSync, writeSync } = require('node:fs');
  const wait = () => readSync(0, Buffer.alloc(1));
  const server = require('node:net').createServer((socket) => {
    socket.write(process.argv[1]); // sent before it returns; nobody else is accepted after it
    writeSync(1, 'told ');
    wait();
    socket.destroy();
    wait();
  });
  server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => writeSync(1, server.address().port + ' '));
`;

/** A process whose port, once its backlog is full, answers a connect with nothing at all: as a machine that is gone does. */
export class BlackHole {
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #output: () => string;
  readonly #fillers: Socket[] = [];

  static async open(line = ''): Promise<BlackHole> {
    const child = spawn(process.execPath, ['-e', script, line], { stdio: ['pipe', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.on('data', (bytes: Buffer) => (output += bytes.toString()));
    const port = await eventually('the port', 20_000, () => Number(/^(\d+) /.exec(output)?.[1]) || undefined);
    return new BlackHole(child, port, () => output);
  }

  private constructor(child: ChildProcess, port: number, output: () => string) {
    this.#child = child;
    this.port = port;
    this.#output = output;
  }

  /** Resolves when the first connection was told the line; from then on the process stands still. */
  async told(): Promise<void> {
    await eventually('the line was told', 5_000, () => this.#output().includes('told'));
  }

  /** Resolves when further connects are not answered. Without a watcher the first filler is the one that is told. */
  async fill(): Promise<void> {
    for (let unanswered = 0, count = 0; unanswered < 2; count += 1) {
      if (count === 32) throw new Error('the backlog does not fill');
      unanswered = (await this.#connects()) ? 0 : unanswered + 1;
    }
    await this.told();
  }

  async #connects(): Promise<boolean> {
    const socket = connect({ host: '127.0.0.1', port: this.port });
    this.#fillers.push(socket);
    socket.on('error', () => undefined);
    const timer = setTimeout(() => socket.emit('timeout'), 150);
    await Promise.race([once(socket, 'connect'), once(socket, 'timeout')]);
    clearTimeout(timer);
    return !socket.connecting;
  }

  /** Ends the connection that was told the line. */
  cut(): void {
    this.#child.stdin?.write('.');
  }

  async close(): Promise<void> {
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    for (const socket of this.#fillers) socket.destroy();
    await exited;
  }
}
