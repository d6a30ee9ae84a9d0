import {
  type handleUnaryCall,
  type Metadata,
  type sendUnaryData,
  type Server,
  type ServerUnaryCall,
  type ServiceDefinition,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { gnmi, gnmiVersion } from '../schemas/gnmi.ts';
import { answerGet } from './get.ts';
import { type Refusal } from './subscribe-plan.ts';
import { type StreamContext, type SubscribeCall, SubscriptionStream } from './subscription-stream.ts';

/** The four RPCs of a device. Messages stay bytes on the gRPC side, so that a tick is encoded once for all its readers. */
export interface GnmiContext extends StreamContext {
  /** Null: go on. Credentials, and whatever a fault says. */
  refusalOf(metadata: Metadata): Refusal | null;
  refusalOfCapabilities(): Refusal | null;
  /** Null: one more stream is fine. */
  streamOpened(stream: SubscriptionStream): Refusal | null;
}

const identity = (bytes: Buffer): Buffer => bytes;
const codec = {
  requestSerialize: identity,
  requestDeserialize: identity,
  responseSerialize: identity,
  responseDeserialize: identity,
};
const unary = { ...codec, requestStream: false, responseStream: false };

/** As a client or a server of grpc-js takes it; requests and responses are encoded messages. */
export const gnmiServiceDefinition = {
  capabilities: { path: '/gnmi.gNMI/Capabilities', ...unary },
  get: { path: '/gnmi.gNMI/Get', ...unary },
  set: { path: '/gnmi.gNMI/Set', ...unary },
  subscribe: { path: '/gnmi.gNMI/Subscribe', ...codec, requestStream: true, responseStream: true },
} satisfies ServiceDefinition;

export function addGnmiService(server: Server, context: GnmiContext): void {
  const implementation: UntypedServiceImplementation = {
    capabilities: unaryCall(context, () => context.refusalOfCapabilities() ?? encodeCapabilities(context)),
    get: unaryCall(context, (request) => {
      const decoded = decodeOrNull(() => gnmi.GetRequest.decode(request));
      if (decoded === null) return { code: status.INVALID_ARGUMENT, details: 'the request is no GetRequest' };
      return answerGet(context.tree, context.limits(), decoded);
    }),
    set: unaryCall(context, () => ({ code: status.UNIMPLEMENTED, details: 'this device is read-only' })),
    subscribe: (call: SubscribeCall) => {
      const stream = new SubscriptionStream(context, call);
      context.whenAnswering(() => {
        if (stream.ended) return;
        const refusal = context.refusalOf(call.metadata) ?? context.streamOpened(stream);
        if (refusal !== null) stream.refuse(refusal);
      });
    },
  };
  server.addService(gnmiServiceDefinition, implementation);
}

function unaryCall(
  context: GnmiContext,
  answer: (request: Buffer) => Buffer | Refusal,
): handleUnaryCall<Buffer, Buffer> {
  return (call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>) => {
    context.whenAnswering(() => {
      const result = context.refusalOf(call.metadata) ?? answer(call.request);
      if (Buffer.isBuffer(result)) callback(null, result);
      else callback(result);
    });
  };
}

function encodeCapabilities(context: GnmiContext): Buffer {
  return gnmi.CapabilityResponse.encode({
    supportedModels: [
      { name: 'openconfig-interfaces', organization: 'OpenConfig working group', version: '3.0.0' },
      { name: 'openconfig-network-instance', organization: 'OpenConfig working group', version: '4.0.0' },
      { name: 'openconfig-platform', organization: 'OpenConfig working group', version: '0.24.0' },
      { name: 'openconfig-system', organization: 'OpenConfig working group', version: '0.17.0' },
      { name: 'holdfast-simulator', organization: 'Holdfast', version: '1.0.0' },
    ],
    supportedEncodings: context.limits().offers,
    gnmiVersion,
  });
}

function decodeOrNull<T>(decode: () => T): T | null {
  try {
    return decode();
  } catch {
    return null;
  }
}
