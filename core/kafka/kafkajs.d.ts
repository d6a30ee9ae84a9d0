/**
 * Types of the few inner modules of kafkajs 2.2.4 that `connection.ts` uses: the package is pinned and declares only its
 * public classes. `verifyKafkaClient` checks at start that what stands here is there.
 */
declare module 'kafkajs/src/network/connectionPool.js' {
  import { type Socket } from 'node:net';

  export interface ClientLogger {
    namespace(name: string): ClientLogger;
    setLogLevel(level: number): void;
    debug(message: string, extra?: object): void;
    info(message: string, extra?: object): void;
    warn(message: string, extra?: object): void;
    error(message: string, extra?: object): void;
  }

  export interface SocketRequestOptions {
    host: string;
    port: number;
    ssl?: object;
    onConnect: () => void;
  }

  export interface ConnectionPoolOptions {
    host: string;
    port: number;
    ssl: object | null;
    sasl: object | null;
    clientId: string;
    connectionTimeout: number;
    requestTimeout: number;
    enforceRequestTimeout: boolean;
    maxInFlightRequests: number | null;
    logger: ClientLogger;
    socketFactory: (options: SocketRequestOptions) => Socket;
  }

  export interface Connection {
    connectionStatus: string;
    readonly requestQueue: { rejectAll(error: Error): void; destroy(): void };
    isConnected(): boolean;
  }

  export interface RawRequest<T> {
    request: {
      apiKey: number;
      apiVersion: number;
      apiName: string;
      encode: () => Promise<{ buf: Buffer; buffer: Buffer; size: () => number }>;
    };
    response: { decode: (body: Buffer) => Promise<T>; parse: (decoded: T) => Promise<T> };
    requestTimeout: number | null;
    logResponseError: boolean;
  }

  export default class ConnectionPool {
    constructor(options: ConnectionPoolOptions);
    readonly pool: Connection[];
    getConnection(index: number): Promise<Connection>;
    send<T>(request: RawRequest<T>): Promise<T>;
  }
}

declare module 'kafkajs/src/broker/index.js' {
  import { type default as ConnectionPool } from 'kafkajs/src/network/connectionPool.js';
  import { type ClientLogger } from 'kafkajs/src/network/connectionPool.js';

  export interface VersionRange {
    minVersion: number;
    maxVersion: number;
  }

  export default class Broker {
    constructor(options: { connectionPool: ConnectionPool; logger: ClientLogger; authenticationTimeout: number });
    readonly versions: Readonly<Record<number, VersionRange>> | null;
    connect(): Promise<void>;
    isConnected(): boolean;
  }
}

declare module 'kafkajs/src/network/requestQueue/index.js' {
  export default class RequestQueue {
    readonly pending: readonly unknown[];
    scheduleCheckPendingRequests(): void;
    rejectAll(error: Error): void;
    destroy(): void;
  }
}

declare module 'kafkajs/src/network/socketFactory.js' {
  import { type Socket } from 'node:net';
  import { type SocketRequestOptions } from 'kafkajs/src/network/connectionPool.js';

  export default function createSocketFactory(): (options: SocketRequestOptions) => Socket;
}
