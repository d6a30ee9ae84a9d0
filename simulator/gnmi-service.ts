import {
  type handleUnaryCall,
  type Metadata,
  type sendUnaryData,
  type Server,
  type ServerUnaryCall,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { type Refusal } from '../core/gnmi/refusal.ts';
import { decodeRequest, gnmiServiceDefinition } from '../core/gnmi/service-definition.ts';
import { gnmi, gnmiVersion } from '../schemas/gnmi.ts';
import { answerGet } from './get.ts';
import { type StreamContext, type SubscribeCall, SubscriptionStream } from './subscription-stream.ts';

/** The four RPCs of a device. Messages stay bytes on the gRPC side, so that a tick is encoded once for all its readers. */
export interface GnmiContext extends StreamContext {
  /** Null: go on. Credentials, and whatever a fault says. */
  refusalOf(metadata: Metadata): Refusal | null;
  refusalOfCapabilities(): Refusal | null;
  /** Null: one more stream is fine. */
  streamOpened(stream: SubscriptionStream): Refusal | null;
}

export function addGnmiService(server: Server, context: GnmiContext): void {
  const implementation: UntypedServiceImplementation = {
    capabilities: unaryCall(context, () => context.refusalOfCapabilities() ?? encodeCapabilities(context)),
    get: unaryCall(context, (request) => {
      const decoded = decodeRequest(request, gnmi.GetRequest);
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
