/**
 * An answer that goes on: its headers leave at once, then whatever the route writes, until it, the client or this server
 * ends.
 *
 * SA1. `onDrained` is called in the order of the writes, when the socket has handed the text to the system: a client that
 *      stops reading is noticed because no more of them come. After the end it is not called.
 * SA2. `signal` aborts when the client has gone or the server stops; a route that still runs then writes into nothing.
 */
import { type ServerResponse } from 'node:http';

export interface StreamSink {
  readonly signal: AbortSignal;
  write(text: string, onDrained: () => void): void;
}

export interface StreamAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Called once, with the headers out. The answer ends when it resolves; it does not reject on an aborted signal. */
  stream(sink: StreamSink): Promise<void>;
}

/** Headers are set; resolves when the answer has ended. */
export async function writeStream(response: ServerResponse, answer: StreamAnswer, signal: AbortSignal): Promise<void> {
  response.setHeader('Content-Type', answer.contentType);
  response.setHeader('Connection', 'close'); // else the idle connection holds up the stop
  response.flushHeaders();
  if (response.req.method === 'HEAD') {
    response.end();
    return;
  }
  await answer.stream({
    signal,
    write: (text, onDrained) => {
      if (signal.aborted || response.destroyed) return; // SA2
      response.write(text, 'utf8', (error) => {
        if (!error && !signal.aborted) onDrained(); // SA1
      });
    },
  });
  response.end();
}
