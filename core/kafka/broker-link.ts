import { type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import ClientBroker from 'kafkajs/src/broker/index.js';
import ClientConnectionPool, {
  type ClientLogger,
  type SocketRequestOptions,
} from 'kafkajs/src/network/connectionPool.js';
import RequestQueue from 'kafkajs/src/network/requestQueue/index.js';
import createSocketFactory from 'kafkajs/src/network/socketFactory.js';
import { type Logger } from '../logger.ts';
import { factsOf, KafkaError, kafkaError } from './errors.ts';
import { type KafkaOptions } from './kafka-options.ts';

/**
 * One life of the connection to one broker, and the only file that imports the Kafka client. From kafkajs it takes what
 * is dull and hard: sockets, TLS, SASL, framing, correlation ids, timeouts. Requests and answers pass as bytes.
 *
 * A link is used once. Whatever ends it (a closed socket, a timeout, `destroy`) rejects every request in flight at once
 * and for good: a client that reconnects by itself would send later requests before the lost earlier ones are repeated.
 * Two sockets: Fetch has its own, so that a long poll delays nothing else.
 */
export interface LinkLimits {
  /** What the connection is for; in logs. */
  readonly name: string;
  /** A request may be given more time than this, not less. */
  readonly requestTimeoutMs: number;
  /** Default: the smaller of `requestTimeoutMs` and 3 s. */
  readonly connectTimeoutMs?: number;
}

export interface LinkRequest {
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly body: Buffer;
  readonly timeoutMs?: number | undefined;
}

export interface BrokerAddress {
  readonly host: string;
  readonly port: number;
}

const fetchKey = 1;
const apiVersionsTimeoutMs = 10_000;

export class BrokerLink {
  readonly #address: BrokerAddress;
  readonly #pool: ClientConnectionPool;
  readonly #broker: ClientBroker;
  readonly #sockets = new Set<Socket>();
  #opening: Promise<void> | undefined;
  #open = false;
  #openingFetch: Promise<unknown> | undefined;
  #ended: KafkaError | undefined;

  /** Inert until the first `send`. */
  constructor(address: BrokerAddress, options: KafkaOptions, limits: LinkLimits) {
    verifyKafkaClient();
    this.#address = address;
    const logger = clientLogger(options.logger);
    const openSocket = createSocketFactory();
    this.#pool = new ClientConnectionPool({
      ...(options.route?.(address) ?? address),
      ssl: options.tls === undefined ? null : { ...options.tls },
      sasl:
        options.sasl === undefined
          ? null
          : {
              mechanism: options.sasl.mechanism,
              username: options.sasl.username,
              password: options.sasl.password.reveal(),
            },
      clientId: options.clientId,
      connectionTimeout: limits.connectTimeoutMs ?? Math.min(limits.requestTimeoutMs, 3_000),
      requestTimeout: limits.requestTimeoutMs,
      enforceRequestTimeout: true,
      maxInFlightRequests: null,
      logger,
      socketFactory: (request) => this.#keep(openSocket, request),
    });
    this.#broker = new ClientBroker({
      connectionPool: this.#pool,
      logger,
      authenticationTimeout: apiVersionsTimeoutMs,
    });
  }

  get ended(): boolean {
    return this.#ended !== undefined;
  }

  /** A request would be written at once; all but Fetch, which has its own socket. */
  get isOpen(): boolean {
    return this.#open && this.#ended === undefined;
  }

  /** Resolves once requests are written without waiting. Rejects with a `KafkaError`, which has ended the link. */
  async open(): Promise<void> {
    try {
      await this.#opened();
    } catch (thrown) {
      const error = this.#ended ?? kafkaError(thrown, `connecting to ${this.#address.host}:${this.#address.port}`);
      this.destroy(error);
      throw error;
    }
  }

  /** Answers with the response's body. Rejects with a `KafkaError`; one without an answer has ended the link. */
  async send(request: LinkRequest): Promise<Buffer> {
    const about = `${factsOfRequest(request)} to ${this.#address.host}:${this.#address.port}`;
    try {
      await this.#opened(); // always, so that requests keep the order in which they were made
      if (request.apiKey === fetchKey) await (this.#openingFetch ??= this.#pool.getConnection(1));
      this.#failIfUnsupported(request, about);
      const answer = await this.#pool.send({
        request: {
          apiKey: request.apiKey,
          apiVersion: request.apiVersion,
          apiName: `${request.apiKey}`,
          encode: () => Promise.resolve({ buf: request.body, buffer: request.body, size: () => request.body.length }),
        },
        response: { decode: (body) => Promise.resolve({ body }), parse: (decoded) => Promise.resolve(decoded) },
        requestTimeout: request.timeoutMs ?? null,
        logResponseError: false,
      });
      return answer.body;
    } catch (thrown) {
      const error = this.#ended ?? kafkaError(thrown, about);
      if (error.kind !== 'protocol') this.destroy(error);
      throw error;
    }
  }

  /** Lets go at once: sockets are reset, so that no copy of a request arrives late, and requests in flight rejected. */
  destroy(reason: KafkaError): void {
    if (this.#ended !== undefined) return;
    this.#ended = reason;
    for (const connection of this.#pool.pool) {
      connection.connectionStatus = 'disconnected';
      connection.requestQueue.rejectAll(reason);
      connection.requestQueue.destroy();
    }
    for (const socket of this.#sockets) {
      // `destroy` alone would wait for unsent bytes; a reset while an `end` is under way would keep the handle for ever.
      if (!(socket instanceof TLSSocket) && !socket.destroyed && !socket.writableEnded) socket.resetAndDestroy();
      socket.destroy(reason);
    }
  }

  async #opened(): Promise<void> {
    if (this.#ended !== undefined) throw this.#ended;
    await (this.#opening ??= this.#broker.connect());
    this.#open = true;
  }

  #failIfUnsupported({ apiKey, apiVersion }: LinkRequest, about: string): void {
    const range = this.#broker.versions?.[apiKey];
    if (range !== undefined && range.minVersion <= apiVersion && apiVersion <= range.maxVersion) return;
    const code = 35;
    const message = `${about}: the broker does not speak this version, Holdfast needs Kafka 2.4 or newer`;
    throw new KafkaError('protocol', factsOf(code).name, message, { code, ...factsOf(code) });
  }

  #keep(open: (request: SocketRequestOptions) => Socket, request: SocketRequestOptions): Socket {
    const socket = open(request);
    socket.setNoDelay(true);
    this.#sockets.add(socket);
    if (this.#ended !== undefined) socket.destroy(this.#ended); // asked for before the end, opened after it
    socket.once('close', () => {
      this.#sockets.delete(socket);
      const { host, port } = this.#address;
      this.destroy(new KafkaError('transport', 'CONNECTION', `connection to ${host}:${port} was closed`));
    });
    return socket;
  }
}

function factsOfRequest({ apiKey, apiVersion }: LinkRequest): string {
  return `request ${apiKey} v${apiVersion}`;
}

/** kafkajs repeats as errors what its caller hears anyway, so its lines are for debugging; its request log is left out. */
function clientLogger(logger: Logger): ClientLogger {
  const line = (message: string, extra?: object): void => {
    const { error, broker } = (extra ?? {}) as { error?: unknown; broker?: unknown };
    logger.debug({ message, broker, cause: error }, 'kafka client line');
  };
  const client: ClientLogger = {
    namespace: () => client,
    setLogLevel: () => undefined,
    debug: () => undefined,
    info: line,
    warn: line,
    error: line,
  };
  return client;
}

let verified = false;

/**
 * Start-up self-test: the inner parts of kafkajs that we build on exist with the shape of 2.2.4. Throws an error that
 * names what is missing. Also applies the idle-CPU patch, once.
 */
export function verifyKafkaClient(): void {
  if (verified) return;
  const missing = missingSymbols();
  if (missing.length > 0) {
    throw new Error(`kafkajs is not the pinned 2.2.4, run npm ci: ${missing.join(', ')} missing or changed`);
  }
  patchIdleQueue();
  verified = true;
}

function missingSymbols(): string[] {
  const problems: string[] = [];
  const expectMethods = (owner: string, prototype: object, methods: Record<string, number>): void => {
    for (const [name, arity] of Object.entries(methods)) {
      const member: unknown = Reflect.get(prototype, name);
      if (typeof member !== 'function' || member.length !== arity) problems.push(`${owner}.${name}(${arity})`);
    }
  };
  expectMethods('Broker', ClientBroker.prototype, { connect: 0, isConnected: 0, apiVersions: 0 });
  expectMethods('ConnectionPool', ClientConnectionPool.prototype, { send: 1, getConnection: 0 });
  expectMethods('RequestQueue', RequestQueue.prototype, { scheduleCheckPendingRequests: 0, rejectAll: 1, destroy: 0 });
  if (typeof createSocketFactory !== 'function') problems.push('socketFactory');
  if (problems.length > 0) return problems;
  const logger: ClientLogger = clientLogger({
    debug: () => undefined,
    info: () => undefined,
    warn: () => undefined,
    error: () => undefined,
    child: () => {
      throw new Error('not used');
    },
  });
  const pool = new ClientConnectionPool({
    host: 'localhost',
    port: 1,
    ssl: null,
    sasl: null,
    clientId: '',
    connectionTimeout: 1,
    requestTimeout: 1,
    enforceRequestTimeout: false,
    maxInFlightRequests: null,
    logger,
    socketFactory: createSocketFactory(),
  });
  const [first, second] = pool.pool;
  const whole = (queue: object | undefined): boolean => queue instanceof RequestQueue;
  if (pool.pool.length !== 2 || !whole(first?.requestQueue) || !whole(second?.requestQueue)) {
    problems.push('ConnectionPool.pool[2].requestQueue');
  }
  return problems;
}

/**
 * `scheduleCheckPendingRequests` re-arms itself for ever with a negative delay: thousands of wake-ups a second for an
 * idle client. With nothing pending there is nothing to check; `push` schedules again.
 */
function patchIdleQueue(): void {
  // eslint-disable-next-line @typescript-eslint/unbound-method
  const original = RequestQueue.prototype.scheduleCheckPendingRequests;
  RequestQueue.prototype.scheduleCheckPendingRequests = function (this: RequestQueue): void {
    if (this.pending.length > 0) original.call(this);
  };
}
