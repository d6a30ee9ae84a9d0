/** A client on a bare socket, for requests that no library would send: what it sends goes out as it is. */
import { connect, type Socket } from 'node:net';

export interface RawAnswer {
  readonly status: number;
  /** Status line and headers, as they came. */
  readonly head: string;
  readonly text: string;
  /** Of a problem document. */
  readonly code: string | null;
}

/** All that the server sends until it ends the connection. */
export function exchange(port: number, bytes: string | Buffer): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => (answer += text));
    socket.on('error', () => undefined); // `close` follows
    socket.on('close', () => resolve(answer));
  });
}

/** The answers of one connection, in their order; each with a length, none in chunks. */
export function answersOf(received: string): RawAnswer[] {
  const answers: RawAnswer[] = [];
  for (let rest = received; rest !== '';) {
    const end = rest.indexOf('\r\n\r\n');
    const head = end < 0 ? rest : rest.slice(0, end);
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1] ?? Number.NaN);
    if (end < 0 || Number.isNaN(status)) throw new Error(`no answer: ${JSON.stringify(rest.slice(0, 300))}`);
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
    const text = rest.slice(end + 4, end + 4 + length);
    const code = /application\/problem\+json/.test(head) ? (JSON.parse(text) as { code: string }).code : null;
    answers.push({ status, head, text, code });
    rest = rest.slice(end + 4 + length);
  }
  return answers;
}

/** The one answer to `bytes`. */
export async function answerTo(port: number, bytes: string | Buffer): Promise<RawAnswer> {
  const [answer, ...others] = answersOf(await exchange(port, bytes));
  if (answer === undefined || others.length > 0) throw new Error(`${others.length} answers too many, or none`);
  return answer;
}

/** The bytes of a request that ends its connection. `headers` end with CRLF each. */
export function request(method: string, url: string, headers = '', body: Buffer | string = ''): Buffer {
  const bytes = Buffer.from(body);
  const length = bytes.length === 0 ? '' : `Content-Length: ${bytes.length}\r\n`;
  const head = `${method} ${url} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${headers}${length}\r\n`;
  return Buffer.concat([Buffer.from(head, 'latin1'), bytes]);
}

export interface HeldConnection {
  readonly socket: Socket;
  received: string;
  /** The server has said that it is done. */
  isEnded: boolean;
}

/** A client that sends `bytes` and then never closes its side. */
export function hold(port: number, bytes: string | Buffer): HeldConnection {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }, () => socket.write(bytes));
  const held: HeldConnection = { socket, received: '', isEnded: false };
  socket.setEncoding('latin1');
  socket.on('data', (text: string) => (held.received += text));
  socket.on('end', () => (held.isEnded = true));
  socket.on('error', () => (held.isEnded = true));
  socket.on('close', () => (held.isEnded = true));
  return held;
}
