/**
 * What the gNMI listener offers, for tools that ask a server instead of reading .proto files (T21): gRPC server reflection,
 * v1 and v1alpha.
 *
 * RF1. A client that asks and does not read is not read from either; what is kept of it is bounded by the size of a request
 *      and the number of RPCs.
 */
import { type handleBidiStreamingCall, type MethodDefinition, type Server, status } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { type Refusal, refuseCall } from '../core/gnmi/refusal.ts';
import { fileDescriptor, type ProtoText } from '../schemas/file-descriptor.ts';
import { protoTexts } from '../schemas/proto-texts.ts';
import { OpenCalls } from './open-calls.ts';

type Handler = handleBidiStreamingCall<unknown, unknown>;
type ReflectionCall = Parameters<Handler>[0];

/** A name in an envelope: a larger request is none, and the RPC ends with it. */
const requestBytesMax = 4_096;
/** Tools ask at their start and are gone. */
const limits = { what: 'reflection RPCs', max: 64, maxPerClient: 16 };

/** The one form of an offer that needs nothing beside the files: they are all that is read of it. */
const format = 'Protocol Buffer 3 EnumDescriptorProto' as const;

/** Files of Protobuf itself: tools have them, and ask for them all the same. */
const wellKnown: readonly ProtoText[] = [
  ['any', 'message Any { string type_url = 1; bytes value = 2; }'],
  ['duration', 'message Duration { int64 seconds = 1; int32 nanos = 2; }'],
].map(([name = '', text = '']) => ({
  name: `google/protobuf/${name}.proto`,
  text: `syntax = "proto3"; package google.protobuf; ${text}`,
}));

export class GnmiReflection {
  readonly #service: ReflectionService;
  readonly #open = new OpenCalls<ReflectionCall>(limits);

  constructor() {
    const offered = { format, type: {}, fileDescriptorProtos: fileDescriptors() };
    this.#service = new ReflectionService({ gnmi: offered });
  }

  addTo(server: Pick<Server, 'addService'>): void {
    this.#service.addToServer({
      addService: ({ ServerReflectionInfo: rpc }, { ServerReflectionInfo: answer }) => {
        if (rpc === undefined) return;
        server.addService(
          { ServerReflectionInfo: bounded(rpc) },
          { ServerReflectionInfo: (call: ReflectionCall) => this.#begin(call, answer as Handler) },
        );
      },
    });
  }

  close(refusal: Refusal): void {
    for (const call of this.#open.all()) refuseCall(call, refusal);
  }

  #begin(call: ReflectionCall, answer: Handler): void {
    const details = this.#open.add(call, call.getPeer());
    for (const over of ['finish', 'cancelled', 'error']) call.once(over, () => this.#open.delete(call));
    if (details === null) answer(inStep(call));
    else refuseCall(call, { code: status.RESOURCE_EXHAUSTED, details });
  }
}

/** gnmi.proto and all that it imports, a google.protobuf.FileDescriptorProto each. */
function fileDescriptors(): Buffer[] {
  const protoText = (name: string): ProtoText => ({ name, text: protoTexts[name] ?? '' });
  const extensions = protoText('gnmi_ext/gnmi_ext.proto');
  return [
    ...wellKnown.map((file) => fileDescriptor(file, [])),
    fileDescriptor(extensions, []),
    fileDescriptor(protoText('gnmi/gnmi.proto'), [extensions]),
  ];
}

/** RF1. */
function bounded(rpc: MethodDefinition<unknown, unknown>): MethodDefinition<unknown, unknown> {
  const requestDeserialize = (bytes: Buffer): unknown => {
    if (bytes.length > requestBytesMax) throw new RangeError(`a request has at most ${requestBytesMax} bytes`);
    return rpc.requestDeserialize(bytes);
  };
  return { ...rpc, requestDeserialize };
}

/** RF1. */
function inStep(call: ReflectionCall): ReflectionCall {
  const write = call.write.bind(call) as (message: unknown) => boolean;
  call.write = (message: unknown): boolean => {
    const hasRoom = write(message);
    if (!hasRoom && !call.isPaused()) {
      call.pause();
      call.once('drain', () => call.resume());
    }
    return hasRoom;
  };
  return call;
}
