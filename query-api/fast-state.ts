/**
 * The hot question in front of Express: `GET /api/v1/devices/{name}/state?path=…` for a few leaves that are here. Hot:
 * guarded by `bench/http-get.ts`.
 *
 * FS1. What it answers it answers as the route does, byte for byte and header for header.
 * FS2. Whatever it is not sure of it leaves to the route, untouched: other methods, parameters and headers, a device that
 *      is not known, a slot that is not fresh here, many leaves, anything that is wrong.
 * FS3. What is kept between requests is bounded, and made from its key alone: a question from its text, a cursor from its
 *      position and the log that it is of.
 */
import { type IncomingMessage, type ServerResponse } from 'node:http';
import { type Device } from '../schemas/device.ts';
import { encodeCursor } from '../schemas/cursor.ts';
import { type Position } from '../schemas/position.ts';
import { type Slot, slotOf } from '../schemas/slot.ts';
import { stateHeaders } from './answer-headers.ts';
import { type ApiContext, isSynced } from './api-context.ts';
import { formatLeaf } from './leaf-json.ts';
import { type QueryApiMetrics } from './metrics.ts';
import { parseParameters } from './parameters.ts';
import { stateBody } from './state-body.ts';
import { parseQuestion, type StatePage, type StateQuestion } from './state-question.ts';

export interface FastStateOptions {
  readonly context: ApiContext;
  readonly metrics: Pick<QueryApiMetrics, 'requestSeconds'>;
}

const before = '/api/v1/devices/';
const behind = '/state?';
const route = `${before}:name/state`;
/** More leaves are for the route, which leaves the event loop to others between them. */
const leavesMax = 32;
/** So is a long answer: the route ends its pages by length. */
const bodyCharsMax = 65_536;
const questionsMax = 4_096;
/** Longer ones are parsed each time: 4096 × 512 characters are 2 MB. */
const questionCharsMax = 512;

export class FastState {
  readonly #context: ApiContext;
  readonly #answered: { observe(seconds: number): void };
  /** By their records, which go when a device is changed or deleted. */
  readonly #slots = new WeakMap<Device, Slot>();
  readonly #questions = new Map<string, StateQuestion>();
  readonly #cursors: { readonly position: Position; readonly tag: string | null; readonly text: string }[] = [];

  constructor({ context, metrics }: FastStateOptions) {
    this.#context = context;
    this.#answered = metrics.requestSeconds.labels({ route, status: '200' });
  }

  /** False: not answered, nothing done; the route is to answer (FS2). */
  answer(request: IncomingMessage, response: ServerResponse): boolean {
    const { url = '', method, headers } = request;
    if (method !== 'GET' || !url.startsWith(before) || url.length > this.#context.limits.maxUrlBytes) return false;
    // Request headers that change the answer of the route.
    if (headers['prefer'] !== undefined || headers['holdfast-forwarded-by'] !== undefined) return false;
    const { clock, state, tables } = this.#context;
    const startedMonotonicMs = clock.monotonicMs();
    const end = url.indexOf(behind, before.length);
    if (end < 0 || !tables.loaded) return false;
    const device = url.slice(before.length, end);
    const record = tables.devices.get(device);
    if (record === undefined) return false;
    const slot = this.#slotOf(record);
    const freshness = state.freshness(slot);
    const position = state.complete(slot);
    if (freshness.kind !== 'known' || position === null) return false;
    const question = this.#question(url.slice(end + behind.length));
    const page = question && this.#page(question, device, slot);
    if (page === undefined) return false;
    const cursor = this.#cursor(position);
    const body = stateBody(page, isSynced(tables, device) ? [] : [device], cursor);
    const stalenessMs = Math.ceil(freshness.stalenessMs);
    const { instanceId } = this.#context;
    const said = stateHeaders({ cursor, stalenessMs, slots: [slot], instanceId }, tables);
    said['Cache-Control'] = 'no-store';
    said['X-Content-Type-Options'] = 'nosniff';
    said['Content-Type'] = 'application/json';
    said['Content-Length'] = String(Buffer.byteLength(body));
    response.writeHead(200, said);
    response.end(body);
    this.#answered.observe((clock.monotonicMs() - startedMonotonicMs) / 1000);
    return true;
  }

  /** `undefined`: more than a path and an encoding, or wrong (FS2). */
  #question(query: string): StateQuestion | undefined {
    const kept = this.#questions.get(query);
    if (kept !== undefined) return kept;
    const { limits } = this.#context;
    let question: StateQuestion;
    try {
      question = parseQuestion(parseParameters(`?${query}`, ['path', 'encoding'], limits.maxPaths), limits);
    } catch {
      return undefined; // the route says what is wrong
    }
    if (question.patterns.length !== 1) return undefined;
    if (query.length <= questionCharsMax) {
      const [oldest] = this.#questions.keys();
      if (this.#questions.size >= questionsMax && oldest !== undefined) this.#questions.delete(oldest);
      this.#questions.set(query, question); // FS3
    }
    return question;
  }

  /** `undefined`: too much for here. */
  #page({ patterns: [named], encoding, limit }: StateQuestion, device: string, slot: Slot): StatePage | undefined {
    if (named === undefined) return undefined;
    const most = Math.min(limit, leavesMax);
    const found = this.#context.state.store.select([named]).leaves(device, '', most + 1); // no view is made in vain
    if (found.length > most) return undefined;
    const nowNs = this.#context.clock.nowNs();
    const leaves: string[] = [];
    let chars = 0;
    for (const leaf of found) {
      const text = formatLeaf(leaf, slot, encoding, nowNs);
      chars += text.length;
      if (chars > bodyCharsMax) return undefined;
      leaves.push(text);
    }
    return { leaves, total: found.length, next: null };
  }

  #slotOf(device: Device): Slot {
    const kept = this.#slots.get(device);
    if (kept !== undefined) return kept;
    const slot = slotOf(device.name, this.#context.slots);
    this.#slots.set(device, slot);
    return slot;
  }

  #cursor(position: Position): string {
    const kept = this.#cursors[position.slot];
    const tag = this.#context.state.logTag;
    if (kept?.position.seq === position.seq && kept.position.epoch === position.epoch && kept.tag === tag)
      return kept.text; // FS3
    const text = encodeCursor([position], tag);
    this.#cursors[position.slot] = { position, tag, text };
    return text;
  }
}
