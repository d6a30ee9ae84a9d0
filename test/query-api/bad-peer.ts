/** Instances that do not answer as they should, each a real server on the loopback. */
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';

export interface BadPeer {
  /** `host:port` */
  readonly http: string;
  /** Requests, or connections where it does not read any. */
  asked(): number;
  stop(): Promise<void>;
}

async function serve(server: Server, asked: () => number): Promise<BadPeer> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const http = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    http,
    asked,
    stop: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** Does with the socket what it likes once a request has come. */
export function rawPeer(onRequest: (socket: Socket) => void): Promise<BadPeer> {
  let asked = 0;
  const server = createServer((socket) => {
    socket.on('data', () => {
      asked += 1;
      onRequest(socket);
    });
  });
  return serve(server, () => asked);
}

export function httpPeer(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<BadPeer> {
  let asked = 0;
  const server = createHttpServer((request, response) => {
    asked += 1;
    answer(request, response);
  });
  return serve(server, () => asked);
}

/** As an instance of ours answers about state, with `headers` put over. */
export function stateReply(
  response: ServerResponse,
  instance: string,
  headers: Readonly<Record<string, string>> = {},
  body = '{"status":"success","data":{"leaves":[],"total":0,"unsynced":[],"cursor":"1.","next":null}}',
): void {
  const ours = { 'Content-Type': 'application/json', 'Holdfast-Served-By': instance, 'Holdfast-Age-Ms': '3' };
  response.writeHead(200, { ...ours, ...headers }).end(body);
}

export function problemReply(response: ServerResponse, status: number, code: string, instance = 'bad'): void {
  const headers = { 'Content-Type': 'application/problem+json', 'Holdfast-Served-By': instance };
  response.writeHead(status, { ...headers, ...(status === 429 && { 'Retry-After': '7' }) });
  response.end(JSON.stringify({ type: 'about:blank', code, title: code, detail: `it says ${code}`, status }));
}
