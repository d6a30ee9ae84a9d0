import { deferred, type Deferred } from '../../core/deferred.ts';
import {
  type CapabilitiesAnswer,
  type DeviceConnection,
  type DeviceTransport,
  type DialTarget,
} from '../../ingest/transport.ts';

/** Connections that come up, fail and end when a test says so: for what is decided by time and order alone. */
export class ScriptedTransport implements DeviceTransport {
  readonly dialled: ScriptedConnection[] = [];

  dial(target: DialTarget): ScriptedConnection {
    const connection = new ScriptedConnection(target);
    this.dialled.push(connection);
    return connection;
  }

  isPrepared(): boolean {
    return false;
  }

  preparedAddress(): string | null {
    return null;
  }

  get open(): number {
    return this.dialled.filter(({ destroyed }) => !destroyed).length;
  }

  /** The n-th dial, from 0. */
  at(n: number): ScriptedConnection {
    const connection = this.dialled[n];
    if (connection === undefined) throw new Error(`only ${this.dialled.length} were dialled`);
    return connection;
  }
}

export class ScriptedConnection implements DeviceConnection {
  readonly isPrepared = false;
  readonly target: DialTarget;
  destroyed = false;
  lose: () => void = () => undefined;
  readonly #answer: Deferred<CapabilitiesAnswer> = deferred();

  constructor(target: DialTarget) {
    this.target = target;
  }

  answer(): void {
    this.#answer.resolve({ kind: 'answered', bytes: Buffer.alloc(0) });
  }

  fail(retry: 'soon' | 'slowly'): void {
    this.#answer.resolve({ kind: 'failed', failure: { code: 'UNREACHABLE', detail: 'scripted', retry } });
  }

  capabilities(): Promise<CapabilitiesAnswer> {
    return this.#answer.promise;
  }

  subscribe(): never {
    throw new Error('a prepared connection is no session (R1)');
  }

  onLost(listener: () => void): void {
    this.lose = listener;
  }

  close(): Promise<void> {
    this.destroy();
    return Promise.resolve();
  }

  destroy(): void {
    this.destroyed = true;
  }
}

export function scriptedTarget(device: string, address = `${device}:1`): DialTarget {
  return { device, address, tls: null, credentials: null, receiveBytesMax: 1, receiveWindowBytes: 1 };
}
