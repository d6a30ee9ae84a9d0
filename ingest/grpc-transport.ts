import { Channel, Metadata, type ChannelInterface, type StatusObject, status } from '@grpc/grpc-js';
import { HoldfastError } from '../core/errors.ts';
import { DeviceSocket } from './device-socket.ts';
import { classifyRpcFailure, classifyTlsFailure } from './rpc-failure.ts';
import {
  type CapabilitiesAnswer,
  type DeviceConnection,
  type DeviceFailure,
  type DeviceTransport,
  type DialTarget,
  type RpcEnd,
  type SubscribeCall,
  type SubscribeListener,
} from './transport.ts';

/**
 * `DeviceTransport` on grpc-js. Calls are made on the channel itself, below grpc-js' stubs and streams: the message's bytes
 * arrive as one Buffer, and "not reading" is simply not asking for the next one, so what a paused device can make us hold is
 * one message and its HTTP/2 window. One channel per connection, its own subchannel pool, no retries, no proxies, no pings (T12).
 */
type GrpcCall = ReturnType<ChannelInterface['createCall']>;

const method = { capabilities: '/gnmi.gNMI/Capabilities', subscribe: '/gnmi.gNMI/Subscribe' } as const;
const ended: RpcEnd = { kind: 'ok' };

/** grpc-js closes a channel without calls after 30 min; one that was prepared has none. The longest timer there is: 24 days. */
const idleMs = 2_147_483_647;

/** Prepares nothing. */
export const grpcTransport: DeviceTransport = {
  dial: (target) => new GrpcConnection(target),
  isPrepared: () => false,
  preparedAddress: () => null,
};

class GrpcConnection implements DeviceConnection {
  readonly isPrepared = false;
  readonly #target: DialTarget;
  readonly #socket: DeviceSocket;
  readonly #channel: ChannelInterface;
  readonly #metadata: Metadata;
  readonly #calls = new Set<GrpcCall>();
  #answered = false;
  #closed = false;
  #onLost: () => void = () => undefined;

  constructor(target: DialTarget) {
    this.#target = target;
    this.#metadata = metadataOf(target.credentials);
    this.#socket = new DeviceSocket(target, () => {
      if (!this.#closed) this.#onLost(); // X2
    });
    this.#channel = new Channel(`dns:${target.address}`, this.#socket, channelOptions(target));
  }

  capabilities(): Promise<CapabilitiesAnswer> {
    return new Promise((resolve) => {
      let bytes: Buffer | null = null;
      const call = this.#start(method.capabilities, {
        onMessage: (message) => {
          bytes = message;
        },
        onStatus: (end) => {
          if (end.code === status.OK && bytes !== null) resolve({ kind: 'answered', bytes });
          else if (end.code === status.OK || end.code === status.UNIMPLEMENTED) resolve({ kind: 'unimplemented' });
          else resolve({ kind: 'failed', failure: this.#failureOf(end) });
        },
      });
      if (call === null) return; // closed by us: X2
      call.startRead();
      call.sendMessageWithContext({}, Buffer.alloc(0)); // an empty CapabilityRequest
      call.halfClose();
    });
  }

  subscribe(request: Buffer, listener: SubscribeListener): SubscribeCall {
    let paused = false;
    let owesRead = false;
    const call = this.#start(method.subscribe, {
      onMessage: (bytes) => {
        listener.onMessage(bytes);
        if (paused) owesRead = true;
        else if (!this.#closed) call?.startRead();
      },
      onStatus: (end) =>
        listener.onEnded(end.code === status.OK ? ended : { kind: 'failed', failure: this.#failureOf(end) }),
    });
    call?.startRead();
    call?.sendMessageWithContext({}, request); // never half-closed: some devices take that for the end of a STREAM
    return {
      pause: () => {
        paused = true;
      },
      resume: () => {
        paused = false;
        if (owesRead && !this.#closed) {
          owesRead = false;
          call?.startRead();
        }
      },
    };
  }

  onLost(listener: () => void): void {
    this.#onLost = listener;
  }

  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#closed = true;
    for (const call of this.#calls) call.cancelWithStatus(status.CANCELLED, 'closed by the collector');
    this.#channel.close();
    // RST_STREAM is written in this turn; after it nothing is owed to the device.
    return new Promise((resolve) => {
      setImmediate(() => {
        this.#socket.destroy();
        resolve();
      });
    });
  }

  destroy(): void {
    this.#socket.destroy(); // first: before anything else can be read or written
    if (this.#closed) return;
    this.#closed = true;
    // Tidied up when the sockets of all the other devices are gone as well: these are what a lost lease must not wait for.
    setImmediate(() => {
      for (const call of this.#calls) call.cancelWithStatus(status.CANCELLED, 'lease lost');
      this.#channel.close();
    });
  }

  #start(path: string, on: { onMessage(bytes: Buffer): void; onStatus(end: StatusObject): void }): GrpcCall | null {
    if (this.#closed) return null;
    const call = this.#channel.createCall(path, Infinity, null, null, null);
    this.#calls.add(call);
    call.start(this.#metadata.clone(), {
      onReceiveMetadata: () => {
        this.#answered = true;
      },
      onReceiveMessage: (message: Buffer) => {
        if (!this.#closed) on.onMessage(message); // X2
      },
      onReceiveStatus: (end) => {
        this.#calls.delete(call);
        if (!this.#closed) on.onStatus(end); // X2
      },
    });
    return call;
  }

  /** What to look at when no connection came up; one that was lost later needs no advice. */
  #hint(): string {
    if (!this.#socket.connected) return '; check the address, and that the gNMI service runs there';
    if (this.#answered) return '';
    return '; it takes TCP connections but does not answer gRPC: check the port, and whether it wants TLS';
  }

  #failureOf(end: StatusObject): DeviceFailure {
    const { address } = this.#target;
    const below = this.#socket.failure;
    if (end.code === status.UNAVAILABLE && below !== null) {
      const tls = classifyTlsFailure(below, address);
      if (tls !== null) return tls;
    }
    const failure = classifyRpcFailure({ code: end.code, details: tidy(end.details) });
    if (failure.code !== 'UNREACHABLE') return failure;
    return { ...failure, detail: `${address}: ${failure.detail}${this.#hint()}` };
  }
}

/** The reason inside grpc-js' text about a connection that did not come up. */
function tidy(details: string): string {
  return /Last error: (?:Error: )?(.*?)\.? Resolution note:/s.exec(details)?.[1] ?? details;
}

function channelOptions(target: DialTarget): Record<string, string | number> {
  return {
    'grpc.max_receive_message_length': target.receiveBytesMax, // T11
    'grpc-node.flow_control_window': target.receiveWindowBytes,
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_retries': 0,
    'grpc.client_idle_timeout_ms': idleMs,
    'grpc.enable_http_proxy': 0,
    'grpc.enable_channelz': 0,
    'grpc.service_config_disable_resolution': 1,
    'grpc.primary_user_agent': 'holdfast',
  };
}

function metadataOf(credentials: DialTarget['credentials']): Metadata {
  const metadata = new Metadata();
  if (credentials === null) return metadata;
  for (const [key, value] of [
    ['username', credentials.username],
    ['password', credentials.password.reveal()],
  ] as const) {
    try {
      metadata.set(key, value);
    } catch {
      // L9: the message that was thrown holds the value.
      throw new HoldfastError('CREDENTIALS_INVALID', `credentials.${key} holds a character that gRPC cannot send`);
    }
  }
  return metadata;
}
