import { createHash } from 'node:crypto';
import { isIP, type Socket } from 'node:net';
import { connect as tlsConnect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { checkServerIdentity } from 'node:tls';
import { CallCredentials, ChannelCredentials, type experimental } from '@grpc/grpc-js';
import { HoldfastError, messageOf } from '../core/errors.ts';
import { type SocketFailure } from './rpc-failure.ts';
import { type DialTarget, type TlsMaterial } from './transport.ts';

/**
 * The socket below one gRPC channel. grpc-js hides it and reports every TLS error as "unavailable"; standing in as the
 * channel's credentials we see the error itself, and keep the socket within reach, so that a lost lease can close it in the
 * same turn (X2) and a lost connection is not dialled again behind our back (X3).
 */

/** A dead peer is noticed by TCP after this long plus ten probes a second apart (T13), however idle its subscriptions are. */
const keepAliveMs = 30_000;

type Connector = experimental.SecureConnector;

export class DeviceSocket extends ChannelCredentials {
  readonly #target: DialTarget;
  readonly #context: SecureContext | null;
  readonly #onLost: () => void;
  readonly #sockets = new Set<Socket>();
  #connected = false;
  #closed = false;
  #failure: SocketFailure | null = null;

  /**
   * Throws `CREDENTIALS_INVALID` if certificate, key or CA cannot be used. `onLost` hears that an established connection is
   * gone, however that came; maybe more than once.
   */
  constructor(target: DialTarget, onLost: () => void) {
    super();
    this.#target = target;
    this.#onLost = onLost;
    this.#context = target.tls === null ? null : secureContextOf(target.tls);
  }

  /** The first thing that went wrong below gRPC. */
  get failure(): SocketFailure | null {
    return this.#failure;
  }

  /** Whether TCP, and TLS if it is spoken, were established. */
  get connected(): boolean {
    return this.#connected;
  }

  /** Closes the file descriptors before it returns. */
  destroy(): void {
    this.#closed = true;
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
  }

  override _isSecure(): boolean {
    return this.#context !== null;
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(_target: unknown, _options: unknown, callCredentials?: CallCredentials): Connector {
    const ofCalls = callCredentials ?? CallCredentials.createEmpty();
    return {
      connect: (socket) => this.#secure(socket),
      waitForReady: () => this.#mayDial(),
      getCallCredentials: () => ofCalls,
      destroy: () => undefined,
    };
  }

  /** Asked before every TCP connection: after a failed dial grpc-js makes one more by itself, a second after `close`. X3 */
  #mayDial(): Promise<void> {
    return this.#closed || this.#connected ? Promise.reject(new Error('the connection was closed')) : Promise.resolve();
  }

  async #secure(raw: Socket): Promise<experimental.SecureConnectResult> {
    if (this.#closed || this.#connected) {
      raw.destroy();
      throw new Error('the connection was closed'); // X3: closed while TCP was being established
    }
    this.#track(raw);
    raw.setKeepAlive(true, keepAliveMs);
    if (this.#context === null) {
      this.#connected = true;
      return { socket: raw, secure: false };
    }
    const socket = await this.#handshake(raw, this.#context);
    this.#connected = true;
    return { socket, secure: true };
  }

  #handshake(raw: Socket, secureContext: SecureContext): Promise<TLSSocket> {
    const name = this.#target.tls?.serverName ?? hostOf(this.#target.address);
    return new Promise((resolve, reject) => {
      let established = false;
      const socket = tlsConnect(
        {
          socket: raw,
          secureContext,
          ALPNProtocols: ['h2'],
          minVersion: 'TLSv1.2', // T2
          host: name,
          checkServerIdentity: (_host, certificate) => checkServerIdentity(name, certificate),
          ...(isIP(name) === 0 ? { servername: name } : {}), // an address is not a legal server name
        },
        () => {
          established = true;
          resolve(socket);
        },
      );
      this.#track(socket);
      socket.on('error', (thrown: NodeJS.ErrnoException) => {
        this.#failure ??= { code: thrown.code ?? '', message: thrown.message, duringTls: !established };
        reject(thrown);
      });
      socket.once('close', () => {
        const message = 'the device closed the connection during the TLS handshake';
        if (!established) this.#failure ??= { code: '', message, duringTls: true };
        reject(new Error(message));
      });
    });
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => undefined); // reported by whoever reads; an unheard one would end the process
    socket.once('close', () => {
      this.#sockets.delete(socket);
      if (this.#connected) this.#onLost();
    });
  }
}

/** Host part of `host:port`, without the brackets of IPv6. */
export function hostOf(address: string): string {
  return address.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
}

/** Devices of one site share CA and client certificate, and a context holds about 100 KB: one per material, few of them. */
const contexts = new Map<string, SecureContext>();
const contextsMax = 64;

function secureContextOf(tls: TlsMaterial): SecureContext {
  const key = tls.key?.reveal() ?? '';
  const id = createHash('sha256')
    .update(JSON.stringify([tls.ca, tls.cert, key]))
    .digest('base64');
  const known = contexts.get(id);
  if (known !== undefined) return known;
  try {
    const context = createSecureContext({
      minVersion: 'TLSv1.2',
      ...(tls.ca === null ? {} : { ca: tls.ca }),
      ...(tls.cert === null ? {} : { cert: tls.cert, key }),
    });
    if (contexts.size >= contextsMax) contexts.clear();
    contexts.set(id, context);
    return context;
  } catch (thrown) {
    // OpenSSL's texts name what is wrong with the PEM and never quote it.
    throw new HoldfastError(
      'CREDENTIALS_INVALID',
      `tls.ca, tls.cert or tls.key cannot be used: ${messageOf(thrown)}; check that they are PEM and belong together`,
    );
  }
}
