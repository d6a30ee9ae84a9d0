/** The four RPCs: bytes in, bytes or a status out. A failure of ours is INTERNAL, never the end of the process. */
import {
  type handleUnaryCall,
  type Server,
  type ServerUnaryCall,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { messageOf } from '../core/errors.ts';
import { invalid, isRefusal, type Refusal, unimplemented } from '../core/gnmi/refusal.ts';
import { decodeRequest, gnmiServiceDefinition } from '../core/gnmi/service-definition.ts';
import { gnmi, type GetRequest } from '../schemas/gnmi.ts';
import { encodeCapabilities } from './gnmi-capabilities.ts';
import { type GnmiContext } from './gnmi-context.ts';
import { answerGet } from './gnmi-get.ts';
import { GnmiReflection } from './gnmi-reflection.ts';
import { unavailable } from './gnmi-request.ts';
import { GnmiSubscription, type SubscribeCall } from './gnmi-subscription.ts';
import { OpenCalls } from './open-calls.ts';
import { SerialQueue } from './serial-queue.ts';

type UnaryAnswer = (request: Buffer, isCancelled: () => boolean) => Buffer | Refusal | Promise<Buffer | Refusal>;
type Rpc = 'Capabilities' | 'Get' | 'Set' | 'Subscribe';

const getLanes = 4;

export class GnmiService {
  readonly #context: GnmiContext;
  readonly #open: OpenCalls<GnmiSubscription>;
  readonly #reflection = new GnmiReflection();
  /** Of Gets. */
  readonly #lanes = Array.from({ length: getLanes }, () => new SerialQueue(Infinity));

  constructor(context: GnmiContext) {
    this.#context = context;
    const { gnmiMaxStreams: max, gnmiMaxStreamsPerClient: maxPerClient } = context.limits;
    this.#open = new OpenCalls({ what: 'Subscribe RPCs', max, maxPerClient });
  }

  addTo(server: Server): void {
    const implementation: UntypedServiceImplementation = {
      capabilities: this.#unary('Capabilities', (bytes) => this.#capabilities(bytes)),
      get: this.#unary('Get', (bytes, isCancelled) => {
        const request = decodeRequest(bytes, gnmi.GetRequest);
        return request === null ? invalid('the request is no GetRequest') : this.#get(request, isCancelled);
      }),
      set: this.#unary('Set', () =>
        unimplemented('Holdfast reads devices and does not configure them: there is no Set'),
      ),
      subscribe: (call: SubscribeCall) => this.#subscribe(call),
    };
    server.addService(gnmiServiceDefinition, implementation);
    this.#reflection.addTo(server); // T21
  }

  /** Ends every stream with a status that tells clients to go elsewhere. */
  close(): void {
    const refusal = unavailable('this instance stops');
    for (const subscription of this.#open.all()) subscription.refuse(refusal);
    this.#reflection.close(refusal);
  }

  #capabilities(bytes: Buffer): Buffer | Refusal {
    const { tables } = this.#context;
    const request = decodeRequest(bytes, gnmi.CapabilityRequest);
    if (request === null) return invalid('the request is no CapabilityRequest');
    if (request.extension.some(({ depth }) => depth !== undefined))
      return invalid('depth does not go with Capabilities');
    if (!tables.loaded) return unavailable('this instance is still reading its tables; try again in a second');
    return encodeCapabilities([...tables.status.entries()].map(([, row]) => row.status));
  }

  /** Few are made at a time: each takes turns with others, and holds what it has made until it is sent. */
  async #get(request: GetRequest, isCancelled: () => boolean): Promise<Buffer | Refusal> {
    const { gnmiMaxStreams } = this.#context.limits;
    if (this.#lanes.reduce((sum, { length }) => sum + length, 0) >= gnmiMaxStreams) {
      return { code: status.RESOURCE_EXHAUSTED, details: `no more than ${gnmiMaxStreams} Get RPCs at a time` };
    }
    const lane = this.#lanes.reduce((least, one) => (one.length < least.length ? one : least));
    return lane.run(async () => {
      if (isCancelled()) return { code: status.CANCELLED, details: 'cancelled by the client' };
      return answerGet(this.#context, request, isCancelled);
    });
  }

  #unary(rpc: Rpc, answer: UnaryAnswer): handleUnaryCall<Buffer, Buffer> {
    const answered = async (call: ServerUnaryCall<Buffer, Buffer>): Promise<Buffer | Refusal> => {
      try {
        return await answer(call.request, () => call.cancelled);
      } catch (thrown) {
        this.#logFailure(rpc, thrown);
        return { code: status.INTERNAL, details: messageOf(thrown) };
      }
    };
    return (call: ServerUnaryCall<Buffer, Buffer>, callback) => {
      void answered(call).then((result) => {
        this.#count(rpc, isRefusal(result) ? result.code : status.OK);
        if (isRefusal(result)) callback(result);
        else callback(null, result);
      });
    };
  }

  #subscribe(call: SubscribeCall): void {
    const subscription = new GnmiSubscription(this.#context, call, (code) => {
      this.#count('Subscribe', code);
      this.#closed(subscription);
    });
    const details = this.#open.add(subscription, call.getPeer());
    this.#context.metrics.streams.set(this.#open.size);
    if (details !== null) subscription.refuse({ code: status.RESOURCE_EXHAUSTED, details });
  }

  #closed(subscription: GnmiSubscription): void {
    this.#open.delete(subscription);
    this.#context.metrics.streams.set(this.#open.size);
  }

  #count(rpc: Rpc, code: number): void {
    this.#context.metrics.rpcs.inc({ rpc, code: status[code] ?? 'UNKNOWN' });
  }

  #logFailure(rpc: Rpc, thrown: unknown): void {
    const suppressed = this.#context.lines.pass(`${rpc} failed`, this.#context.clock.monotonicMs());
    if (suppressed !== undefined) this.#context.logger.error({ rpc, err: thrown, suppressed }, 'gnmi request failed');
  }
}
