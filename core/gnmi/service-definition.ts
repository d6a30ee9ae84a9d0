/**
 * The service `gnmi.gNMI` as a client or a server of grpc-js takes it. Requests and responses are encoded messages: they
 * stay bytes on the gRPC side, so that what many readers get is encoded once.
 */
import { type ServiceDefinition } from '@grpc/grpc-js';

const identity = (bytes: Buffer): Buffer => bytes;
const codec = {
  requestSerialize: identity,
  requestDeserialize: identity,
  responseSerialize: identity,
  responseDeserialize: identity,
};
const unary = { ...codec, requestStream: false, responseStream: false };

export const gnmiServiceDefinition = {
  capabilities: { path: '/gnmi.gNMI/Capabilities', ...unary },
  get: { path: '/gnmi.gNMI/Get', ...unary },
  set: { path: '/gnmi.gNMI/Set', ...unary },
  subscribe: { path: '/gnmi.gNMI/Subscribe', ...codec, requestStream: true, responseStream: true },
} satisfies ServiceDefinition;

/** Null: the bytes are no such message. */
export function decodeRequest<T>(bytes: Buffer, codec: { decode(bytes: Buffer): T }): T | null {
  try {
    return codec.decode(bytes);
  } catch {
    return null;
  }
}
