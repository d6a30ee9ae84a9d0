import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type Peer } from '../../core/kafka/peers.ts';
import { eventually } from './eventually.ts';
import { repositoryRoot } from './repository-root.ts';

const script = `
  import { TcpPeers } from './core/kafka/tcp-peers.ts';
  import { systemClock as clock } from './core/clock.ts';
  import { systemRandom as random } from './core/random.ts';
  import { silentLogger as logger } from './core/logger.ts';
  const [incarnation, memberId] = process.argv.slice(1);
  const host = '127.0.0.1';
  const peers = new TcpPeers({ listen: host + ':0', advertisedHost: host, incarnation, clock, random, logger });
  await peers.start({ gone: () => undefined, nudged: () => undefined });
  peers.identify(memberId);
  console.log('address ' + peers.address);
`;

/** A worker as its peers see it, in a process of its own that a test may kill or freeze. */
export class PeerProcess {
  readonly peer: Peer;
  readonly #child: ChildProcess;

  static async start(incarnation: string, memberId: string): Promise<PeerProcess> {
    const args = ['--import', 'tsx', '--input-type=module', '-e', script, incarnation, memberId];
    const child = spawn(process.execPath, args, { cwd: repositoryRoot, stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.on('data', (bytes: Buffer) => (output += bytes.toString()));
    const address = await eventually('the address', 30_000, () => /address (\S+)\n/.exec(output)?.[1]);
    return new PeerProcess(child, { incarnation, memberId, address });
  }

  private constructor(child: ChildProcess, peer: Peer) {
    this.#child = child;
    this.peer = peer;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }
}
