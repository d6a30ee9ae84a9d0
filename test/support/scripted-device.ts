import {
  type Metadata,
  type sendUnaryData,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  status,
} from '@grpc/grpc-js';
import { gnmi, type GnmiEncoding, type ModelData, type SubscribeRequest } from '../../schemas/gnmi.ts';
import { encodeTypedValue } from '../../schemas/value.ts';
import { eventually } from './eventually.ts';

/**
 * A gNMI device on a real socket that does exactly what a test tells it, right or wrong. It answers Capabilities by itself;
 * every Subscribe becomes a `ScriptedStream` for the test to play.
 */
const identity = (bytes: Buffer): Buffer => bytes;
const codec = {
  requestSerialize: identity,
  requestDeserialize: identity,
  responseSerialize: identity,
  responseDeserialize: identity,
};
const service = {
  capabilities: { path: '/gnmi.gNMI/Capabilities', ...codec, requestStream: false, responseStream: false },
  subscribe: { path: '/gnmi.gNMI/Subscribe', ...codec, requestStream: true, responseStream: true },
};

const oneModel = [{ name: 'openconfig-interfaces', organization: 'OpenConfig', version: '3.0.0' }];

export interface ScriptedDeviceOptions {
  readonly encodings?: readonly GnmiEncoding[];
  readonly models?: readonly ModelData[];
  /** Answers Capabilities with this gRPC status instead. */
  readonly capabilitiesStatus?: { readonly code: number; readonly details: string };
  /** Never answers Capabilities. */
  readonly mute?: boolean;
  /** Refuses every Subscribe. */
  readonly refuse?: { readonly code: number; readonly details: string };
  readonly tls?: { readonly cert: string; readonly key: string; readonly clientCa?: string };
}

export class ScriptedDevice {
  readonly streams: ScriptedStream[] = [];
  readonly metadata: Metadata[] = [];
  options: ScriptedDeviceOptions;
  port = 0;
  /** Most Subscribe streams that were open at one instant. */
  openMax = 0;
  readonly #server = new Server({ 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 });

  constructor(options: ScriptedDeviceOptions = {}) {
    this.options = options;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  async start(): Promise<this> {
    this.#server.addService(service, {
      capabilities: (call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) =>
        this.#capabilities(call, done),
      subscribe: (call: ServerDuplexStream<Buffer, Buffer>) => this.#subscribe(call),
    });
    const { tls } = this.options;
    const credentials =
      tls === undefined
        ? ServerCredentials.createInsecure()
        : ServerCredentials.createSsl(
            tls.clientCa === undefined ? null : Buffer.from(tls.clientCa),
            [{ cert_chain: Buffer.from(tls.cert), private_key: Buffer.from(tls.key) }],
            tls.clientCa !== undefined,
          );
    this.port = await new Promise((resolve, reject) => {
      this.#server.bindAsync(`127.0.0.1:${this.port}`, credentials, (error, port) =>
        error ? reject(error) : resolve(port),
      );
    });
    return this;
  }

  stop(): void {
    this.#server.forceShutdown();
  }

  /** The n-th Subscribe stream since the start, from 0. */
  stream(n: number, withinMs = 5_000): Promise<ScriptedStream> {
    return eventually(`Subscribe stream ${n}`, withinMs, () => this.streams[n]);
  }

  get open(): number {
    return this.streams.filter((stream) => !stream.gone).length;
  }

  #capabilities(call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>): void {
    this.metadata.push(call.metadata);
    const { capabilitiesStatus, encodings = ['JSON', 'PROTO'], models = oneModel, mute } = this.options;
    if (mute === true) return;
    if (capabilitiesStatus !== undefined) {
      done(capabilitiesStatus);
      return;
    }
    done(
      null,
      gnmi.CapabilityResponse.encode({ supportedModels: models, supportedEncodings: encodings, gnmiVersion: '0.10.0' }),
    );
  }

  #subscribe(call: ServerDuplexStream<Buffer, Buffer>): void {
    this.metadata.push(call.metadata);
    const { refuse } = this.options;
    if (refuse !== undefined) {
      call.on('error', () => undefined);
      call.emit('error', refuse);
      return;
    }
    this.streams.push(new ScriptedStream(call));
    this.openMax = Math.max(this.openMax, this.open);
  }
}

export class ScriptedStream {
  request: SubscribeRequest | null = null;
  /** Requests received, of which there should be one. */
  requests = 0;
  gone = false;
  readonly openedMonotonicMs = performance.now();
  readonly #call: ServerDuplexStream<Buffer, Buffer>;

  constructor(call: ServerDuplexStream<Buffer, Buffer>) {
    this.#call = call;
    call.on('data', (bytes: Buffer) => {
      this.request = gnmi.SubscribeRequest.decode(bytes);
      this.requests += 1;
    });
    call.on('cancelled', () => {
      this.gone = true;
    });
    call.on('error', () => undefined);
    call.on('end', () => undefined);
  }

  async requested(): Promise<SubscribeRequest> {
    return eventually('the SubscribeRequest', 5_000, () => this.request ?? undefined);
  }

  /** False: the client does not read, HTTP/2 holds us back. */
  send(bytes: Buffer): boolean {
    return this.#call.write(bytes);
  }

  update(value: number | bigint, timestamp = 1_000n): Buffer {
    const bytes = updateMessage(value, timestamp);
    this.send(bytes);
    return bytes;
  }

  sync(synced = true): void {
    this.send(gnmi.SubscribeResponse.encode({ syncResponse: synced }));
  }

  end(): void {
    this.gone = true;
    this.#call.end();
  }

  fail(code: number = status.INTERNAL, details = 'scripted'): void {
    this.gone = true;
    this.#call.emit('error', { code, details });
  }

  async closed(): Promise<void> {
    await eventually('the stream closed by the client', 5_000, () => this.gone);
  }
}

/** One update of one counter. */
export function updateMessage(value: number | bigint, timestamp: bigint, padding = 0): Buffer {
  const elems = [{ name: 'a', keys: new Map<string, string>() }];
  return gnmi.SubscribeResponse.encode({
    update: {
      timestamp,
      update: [
        { path: { elems }, val: encodeTypedValue({ kind: 'uint', value: BigInt(value) }) },
        ...(padding > 0
          ? [{ path: { elems }, val: encodeTypedValue({ kind: 'bytes', value: Buffer.alloc(padding) }) }]
          : []),
      ],
    },
  });
}
