/**
 * One Subscribe RPC.
 *
 * R1. It joins the hub before it walks (S13), and walks before it sends what it heard; a leaf is sent with what waits of
 *     it, so no reader sees an older value after a newer one.
 * R2. Whatever ends it, it leaves the hub, its queue and its timers at once (S6).
 * R3. It works in slices of a few milliseconds, and only while its reader takes what is written (T22).
 * R4. The sync stands behind the first value of every covered leaf (S11).
 * R5. A client that polls faster than it reads is ended: not to read from it would keep what it sends in our memory.
 */
import { setImmediate as nextTurn } from 'node:timers';
import { type ServerDuplexStream, status } from '@grpc/grpc-js';
import { messageOf } from '../core/errors.ts';
import { invalid, isRefusal, type Refusal, refuseCall } from '../core/gnmi/refusal.ts';
import { decodeRequest } from '../core/gnmi/service-definition.ts';
import { planSubscribe, type SubscribePlan } from '../core/gnmi/subscribe-plan.ts';
import { type Extension, gnmi, type SubscribeRequest } from '../schemas/gnmi.ts';
import { type GnmiContext } from './gnmi-context.ts';
import { askedDevice, depthOf, gnmiOffers, refuseBounds, refuseIncomplete } from './gnmi-request.ts';
import { GnmiStream } from './gnmi-stream.ts';
import { GnmiWriter } from './gnmi-writer.ts';

export type SubscribeCall = ServerDuplexStream<Buffer, Buffer>;

/** Other streams wait no longer than this for one that has much to send. */
const sliceMs = 5;

export class GnmiSubscription {
  readonly #context: GnmiContext;
  readonly #call: SubscribeCall;
  readonly #onEnded: (code: number) => void;
  readonly #writer: GnmiWriter;
  #plan: SubscribePlan | null = null;
  #stream: GnmiStream | null = null;
  #scheduled = false;
  #ended = false;
  /** The client has said all that it will; a POLL ends when its answers are written. */
  #halfClosed = false;

  constructor(context: GnmiContext, call: SubscribeCall, onEnded: (code: number) => void) {
    this.#context = context;
    this.#call = call;
    this.#onEnded = onEnded;
    this.#writer = new GnmiWriter({
      call,
      clock: context.clock,
      blockedMsMax: context.limits.gnmiBlockedMsMax,
      onReady: () => this.#schedule(),
      onBlockedTooLong: () => this.#blockedTooLong(),
    });
    call.on('data', (bytes: Buffer) => this.#guarded(() => this.#request(bytes)));
    call.on('end', () => this.#guarded(() => this.#clientEnded()));
    call.on('cancelled', () => this.#finish(status.CANCELLED));
    call.on('error', () => this.#finish(status.UNKNOWN));
  }

  /** Ends the RPC with this status. */
  refuse(refusal: Refusal): void {
    if (this.#ended) return;
    this.#finish(refusal.code);
    refuseCall(this.#call, refusal);
  }

  #request(bytes: Buffer): void {
    if (this.#ended) return;
    const request = decodeRequest(bytes, gnmi.SubscribeRequest);
    if (request === null) {
      this.refuse(invalid('the request is no SubscribeRequest'));
      return;
    }
    const refusal = this.#plan === null ? this.#first(request) : this.#later(request, this.#plan);
    if (refusal !== null) this.refuse(refusal);
  }

  #first({ subscribe, extension }: SubscribeRequest): Refusal | null {
    const { limits, tables, slots, state } = this.#context;
    if (subscribe === undefined) return invalid('the first message must carry a subscription list'); // S1
    const paths = subscribe.subscription.map((one) => one.path);
    const outOfBounds = refuseBounds(paths, subscribe.prefix, limits);
    if (outOfBounds !== null) return outOfBounds;
    const plan = planSubscribe(subscribe, {
      offers: gnmiOffers,
      sampleIntervalMsMin: limits.gnmiSampleIntervalMsMin,
    });
    if (isRefusal(plan)) return plan;
    const depth = depthOf(extension, plan.mode);
    if (typeof depth !== 'number') return depth;
    const asked = askedDevice(plan.form.target, tables);
    if (isRefusal(asked)) return asked;
    const { device } = asked;
    const devices = device === null ? [...tables.devices.entries()].map(([name]) => name) : [device];
    const incomplete = refuseIncomplete(devices, slots, (slot) => state.freshness(slot));
    if (incomplete !== null) return incomplete;
    this.#logIgnored(plan, extension);
    this.#plan = plan;
    this.#stream = new GnmiStream({
      context: this.#context,
      writer: this.#writer,
      plan,
      depth,
      device,
      wake: () => this.#schedule(),
      end: (refusal) => this.#end(refusal),
    });
    this.#stream.begin(devices);
    this.#schedule();
    return null;
  }

  #later(request: SubscribeRequest, plan: SubscribePlan): Refusal | null {
    if (request.subscribe !== undefined) return invalid('a second subscription list on one RPC'); // S2
    if (request.poll === undefined || plan.mode !== 'POLL') return invalid('only POLL takes further messages');
    const { tables, slots, state } = this.#context;
    const asked = askedDevice(plan.form.target, tables);
    if (isRefusal(asked)) return asked;
    const devices = asked.device === null ? [...tables.devices.entries()].map(([name]) => name) : [asked.device];
    const incomplete = refuseIncomplete(devices, slots, (slot) => state.freshness(slot));
    if (incomplete !== null) return incomplete;
    const { gnmiMaxPolls } = this.#context.limits;
    if ((this.#stream?.polls ?? 0) >= gnmiMaxPolls) {
      return { code: status.RESOURCE_EXHAUSTED, details: `more than ${gnmiMaxPolls} polls wait to be answered` }; // R5
    }
    this.#stream?.poll(); // M2
    this.#schedule();
    return null;
  }

  #logIgnored(plan: SubscribePlan, extensions: readonly Extension[]): void {
    const ignored = [...plan.ignored, ...(extensions.some(isUnknown) ? ['extension'] : [])];
    for (const what of ignored) {
      const suppressed = this.#context.lines.pass(`ignored ${what}`, this.#context.clock.monotonicMs());
      if (suppressed !== undefined) this.#context.logger.info({ field: what, suppressed }, 'gnmi field ignored');
    }
  }

  #schedule(): void {
    if (this.#scheduled || this.#ended || this.#stream === null) return;
    this.#scheduled = true;
    nextTurn(() => {
      this.#scheduled = false;
      this.#guarded(() => this.#work());
    });
  }

  /** R3. */
  #work(): void {
    if (this.#ended || this.#stream === null || this.#writer.blocked) return;
    const { clock } = this.#context;
    const untilMs = clock.monotonicMs() + sliceMs;
    let steps = 0;
    const mustStop = (): boolean => this.#writer.blocked || (++steps % 32 === 0 && clock.monotonicMs() >= untilMs);
    const more = this.#stream.work(mustStop);
    if (more) this.#schedule(); // where the reader blocks it, `onReady` comes later
    if (!more && this.#halfClosed && this.#plan?.mode === 'POLL') this.#end(null);
  }

  /** A reader that will say nothing more still reads a STREAM; a POLL is over when it has been answered. */
  #clientEnded(): void {
    if (this.#ended) return;
    this.#halfClosed = true;
    if (this.#plan === null)
      this.refuse(invalid('the RPC ended before its subscription list')); // S1
    else this.#schedule();
  }

  /** Null: OK, after what was written. */
  #end(refusal: Refusal | null): void {
    if (this.#ended) return;
    if (refusal !== null) {
      this.refuse(refusal);
      return;
    }
    this.#finish(status.OK);
    this.#call.end();
  }

  #blockedTooLong(): void {
    const { gnmiBlockedMsMax } = this.#context.limits;
    const details = `the reader has taken nothing for ${gnmiBlockedMsMax} ms`;
    this.refuse({ code: status.RESOURCE_EXHAUSTED, details });
  }

  /** A peer's message never ends the process. */
  #guarded(work: () => void): void {
    try {
      work();
    } catch (thrown) {
      const { lines, logger, clock } = this.#context;
      const suppressed = lines.pass('subscribe failed', clock.monotonicMs());
      if (suppressed !== undefined) logger.error({ err: thrown, suppressed }, 'gnmi subscription failed');
      this.refuse({ code: status.INTERNAL, details: messageOf(thrown) });
    }
  }

  #finish(code: number): void {
    if (this.#ended) return;
    this.#ended = true; // R2
    this.#stream?.close();
    this.#writer.close();
    this.#onEnded(code);
  }
}

function isUnknown(extension: Extension): boolean {
  return extension.depth === undefined && extension.history === undefined;
}
