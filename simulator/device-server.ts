import { type ConnectionInjector, Server, ServerCredentials } from '@grpc/grpc-js';
import { type CertificatePair } from './certificates.ts';
import { type ConnectionTreatment, DeviceListener } from './device-listener.ts';
import { addGnmiService, type GnmiContext } from './gnmi-service.ts';

/**
 * The gRPC side of one device: a server made at the first connection, fed with the listener's sockets. A device that
 * nobody talks to costs one listening port.
 */
export interface DeviceTransport {
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
}

export interface DeviceTls {
  readonly certificate: CertificatePair;
  /** Clients must show a certificate of this authority; null: they need none. */
  readonly clientAuthority: string | null;
}

const serverOptions = {
  'grpc.max_receive_message_length': 4 * 1024 * 1024, // requests
  'grpc.max_send_message_length': -1,
  'grpc.enable_channelz': 0,
};

export class DeviceServer {
  readonly listener: DeviceListener;
  readonly #context: GnmiContext;
  #tls: DeviceTls | null = null;
  #server: Server | null = null;
  #injector: ConnectionInjector | null = null;

  constructor(transport: DeviceTransport, context: GnmiContext) {
    this.#context = context;
    this.listener = new DeviceListener({
      host: transport.host,
      port: transport.port,
      onConnection: (socket) => this.#injection().injectConnection(socket),
    });
  }

  /** Null: plaintext. */
  get tls(): DeviceTls | null {
    return this.#tls;
  }

  /** Holds for new connections; those that stand stay as they are (T4). */
  set tls(tls: DeviceTls | null) {
    this.#tls = tls;
    this.#injector = null;
  }

  /** Standing connections are reset, later ones treated like this. */
  treat(treatment: ConnectionTreatment): void {
    this.listener.treatment = treatment;
    this.listener.reset();
  }

  open(): Promise<void> {
    return this.listener.open();
  }

  async close(): Promise<void> {
    await this.listener.close();
    this.#server?.forceShutdown();
    this.#server = null;
    this.#injector = null;
  }

  #injection(): ConnectionInjector {
    if (this.#server === null) {
      this.#server = new Server(serverOptions);
      addGnmiService(this.#server, this.#context);
    }
    return (this.#injector ??= this.#server.createConnectionInjector(credentialsOf(this.#tls)));
  }
}

function credentialsOf(tls: DeviceTls | null): ServerCredentials {
  if (tls === null) return ServerCredentials.createInsecure();
  const pair = { cert_chain: Buffer.from(tls.certificate.cert), private_key: Buffer.from(tls.certificate.key) };
  const authority = tls.clientAuthority;
  return ServerCredentials.createSsl(authority === null ? null : Buffer.from(authority), [pair], authority !== null);
}
