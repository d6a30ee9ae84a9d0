import {
  type ChannelCredentials,
  Client,
  type ClientDuplexStream,
  credentials,
  type Metadata,
  Metadata as GrpcMetadata,
  type ServiceError,
} from '@grpc/grpc-js';
import { gnmi, type SubscribeRequest, type SubscribeResponse } from '../../schemas/gnmi.ts';
import { type Init } from '../../schemas/message-codec.ts';
import { compilePattern } from '../../schemas/path-pattern.ts';
import { formatPath, parsePath, type Path, rootPath } from '../../schemas/path.ts';
import { decodeTypedValue, type TypedValue } from '../../schemas/value.ts';

/**
 * A gNMI client for tests, on grpc-js as it comes: it keeps everything it was sent, decoded by `schemas/gnmi.ts`, and
 * nothing in it knows the simulator.
 */
const identity = (bytes: Buffer): Buffer => bytes;
/** Of one wait. */
const defaultWithinMs = 5_000;

export interface SeenLeaf {
  readonly value: TypedValue | null;
  readonly timestampNs: bigint;
}

export class GnmiClient {
  readonly #client: Client;
  readonly #metadata: Metadata;
  readonly #withinMs: number;

  constructor(
    address: string,
    options: {
      channel?: ChannelCredentials;
      username?: string;
      password?: string;
      maxBytes?: number;
      withinMs?: number;
    } = {},
  ) {
    this.#client = new Client(address, options.channel ?? credentials.createInsecure(), {
      'grpc.max_receive_message_length': options.maxBytes ?? 64 * 1024 * 1024,
      'grpc.use_local_subchannel_pool': 1,
      // A dial that failed is made again after this long even when the channel was closed meanwhile, and what comes of it
      // stays open: no test lasts as long.
      'grpc.initial_reconnect_backoff_ms': 120_000,
    });
    this.#withinMs = options.withinMs ?? defaultWithinMs;
    this.#metadata = new GrpcMetadata();
    if (options.username !== undefined) this.#metadata.set('username', options.username);
    if (options.password !== undefined) this.#metadata.set('password', options.password);
  }

  close(): void {
    this.#client.close();
  }

  unary(method: 'Capabilities' | 'Get' | 'Set', request: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        `/gnmi.gNMI/${method}`,
        identity,
        identity,
        request,
        this.#metadata,
        { deadline: new Date(Date.now() + this.#withinMs) },
        (error, response) => (error !== null ? reject(error) : resolve(response ?? Buffer.alloc(0))),
      );
    });
  }

  subscribe(request?: Init<SubscribeRequest>): Subscriber {
    const call = this.#client.makeBidiStreamRequest('/gnmi.gNMI/Subscribe', identity, identity, this.#metadata);
    const subscriber = new Subscriber(call, this.#withinMs);
    if (request !== undefined) subscriber.send(request);
    return subscriber;
  }
}

export class Subscriber {
  readonly call: ClientDuplexStream<Buffer, Buffer>;
  readonly raw: Buffer[] = [];
  readonly responses: SubscribeResponse[] = [];
  syncs = 0;
  /** Set when the RPC ended; code 0 is OK. */
  end: { code: number; details: string } | null = null;
  /** What a simple collector would hold: updates and deletes applied in order, atomic containers replaced. */
  readonly leaves = new Map<string, SeenLeaf>();
  readonly #withinMs: number;
  #waiters: (() => void)[] = [];

  constructor(call: ClientDuplexStream<Buffer, Buffer>, withinMs = defaultWithinMs) {
    this.call = call;
    this.#withinMs = withinMs;
    call.on('data', (bytes: Buffer) => this.#received(bytes));
    call.on('error', (error: ServiceError) => this.#ended({ code: error.code, details: error.details }));
    call.on('status', (status: { code: number; details: string }) => this.#ended(status));
  }

  send(request: Init<SubscribeRequest>): void {
    this.call.write(gnmi.SubscribeRequest.encode(request));
  }

  cancel(): void {
    this.call.cancel();
  }

  /** Fails after a while, naming what it waited for. */
  async until(what: string, condition: () => boolean, timeoutMs = this.#withinMs): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (!condition()) {
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) {
        const seen = `${this.responses.length} responses, ${this.syncs} syncs, end ${JSON.stringify(this.end)}`;
        throw new Error(`waited in vain for ${what}: ${seen}`);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(leftMs, 50));
        this.#waiters.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  async synced(times = 1): Promise<void> {
    await this.until(`sync ${times}`, () => this.syncs >= times || this.end !== null);
    if (this.syncs < times) throw new Error(`ended instead of syncing: ${JSON.stringify(this.end)}`);
  }

  async ended(): Promise<{ code: number; details: string }> {
    await this.until('the end of the RPC', () => this.end !== null);
    return this.end!;
  }

  /** Sequence numbers of the notifications that begin with one, received from `fromIndex` on. */
  sequences(fromIndex = 0): bigint[] {
    return this.responses.slice(fromIndex).flatMap((response) => {
      const first = response.update?.update[0];
      if (first?.path === undefined || joined(response.update?.prefix, first.path) !== sequencePath) return [];
      const value = decodeTypedValue(first.val ?? Buffer.alloc(0));
      return value?.kind === 'uint' ? [value.value] : [];
    });
  }

  #received(bytes: Buffer): void {
    this.raw.push(bytes);
    const response = gnmi.SubscribeResponse.decode(bytes);
    this.responses.push(response);
    if (response.syncResponse === true) this.syncs += 1;
    this.#apply(response);
    this.#wake();
  }

  #apply({ update: notification }: SubscribeResponse): void {
    if (notification === undefined) return;
    const { prefix, timestamp } = notification;
    const gone = notification.delete.map((path) => joinedPath(prefix, path));
    if (notification.atomic) gone.push(joinedPath(prefix, rootPath));
    for (const pattern of gone.map(compilePattern)) {
      for (const leaf of this.leaves.keys()) if (pattern.matches(parsePath(leaf).elems)) this.leaves.delete(leaf);
    }
    for (const { path, val } of notification.update) {
      if (path === undefined || val === undefined) continue;
      this.leaves.set(joined(prefix, path), { value: decodeTypedValue(val), timestampNs: timestamp });
    }
  }

  #ended(status: { code: number; details: string }): void {
    this.end ??= { code: status.code, details: status.details };
    this.#wake();
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }
}

const sequencePath = 'openconfig:/simulator/state/sequence';

function joinedPath(prefix: Path | undefined, path: Path): Path {
  const origin = [prefix?.origin, path.origin].find((one) => one !== undefined && one !== '') ?? 'openconfig';
  return { origin, target: '', elems: [...(prefix?.elems ?? []), ...path.elems] };
}

const joined = (prefix: Path | undefined, path: Path): string => formatPath(joinedPath(prefix, path));

export const path = (text: string): Path => parsePath(text);

/** A STREAM request for these paths, mode TARGET_DEFINED, encoding PROTO, unless said otherwise. */
export function streamOf(
  paths: readonly string[],
  list: NonNullable<Init<SubscribeRequest>['subscribe']> = {},
  subscription: object = {},
): Init<SubscribeRequest> {
  return {
    subscribe: {
      mode: 'STREAM',
      encoding: 'PROTO',
      subscription: paths.map((text) => ({ path: path(text), ...subscription })),
      ...list,
    },
  };
}
