/** Server-sent events as text: https://html.spec.whatwg.org/multipage/server-sent-events.html. Pure. */
import { type DeviceLoss } from './device-gaps.ts';

export type StreamEvent = 'update' | 'delete' | 'synced' | 'gap' | 'heartbeat';

/** Sent once at the start: how long a browser waits before it comes back, ms. Proxies pass the headers on with it. */
export const retryText = 'retry: 1000\n\n';

/** `id` null: the reader keeps the one it has. A line end in `data`, of JSON as a device sent it, begins a line of its own. */
export function formatEvent(event: StreamEvent, data: string, id: string | null): string {
  const lines = /[\r\n]/.test(data) ? data.replace(/\r\n|\r|\n/g, '\ndata: ') : data;
  return `${id === null ? '' : `id: ${id}\n`}event: ${event}\ndata: ${lines}\n\n`;
}

/** The reader stands where nobody can go on from: it is sent the full state. */
export type StreamGap = 'cursor-expired' | 'cursor-unknown';

/** Of all devices of the stream; what and how much is missing nobody knows. */
export function streamGapText(reason: StreamGap): string {
  return JSON.stringify({ reason, device: null, lost: null, from: null, to: null });
}

export function deviceGapText(device: string, { gaps, fromNs, toNs }: DeviceLoss): string {
  const [lost, from, to] = [gaps, fromNs, toNs].map((count) => count?.toString() ?? null);
  return JSON.stringify({ reason: 'device', device, lost, from, to });
}

/** An event ends with the leaf with which it has this many characters: one write of a socket carries it. */
export const eventChars = 64 * 1024;

/** Leaves, as JSON text each, as the data of `update` events. */
export function* eventsOf(leaves: readonly string[]): Generator<string> {
  let start = 0;
  let chars = 0;
  for (const [index, leaf] of leaves.entries()) {
    chars += leaf.length;
    if (chars < eventChars && index < leaves.length - 1) continue;
    yield `{"leaves":[${leaves.slice(start, index + 1).join(',')}]}`;
    start = index + 1;
    chars = 0;
  }
}
