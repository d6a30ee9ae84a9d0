/** What a gNMI server answers instead of what was asked for: expected ends are values, and become a status at the edge. */
import { type EventEmitter } from 'node:events';
import { status } from '@grpc/grpc-js';

export interface Refusal {
  /** A gRPC status. */
  readonly code: number;
  readonly details: string;
}

export function isRefusal(result: object): result is Refusal {
  return 'code' in result && 'details' in result;
}

/** Ends a streaming RPC with it: grpc-js makes a status of what an `error` event carries. */
export function refuseCall(call: EventEmitter, refusal: Refusal): void {
  call.emit('error', Object.assign(new Error(refusal.details), refusal));
}

export const invalid = (details: string): Refusal => ({ code: status.INVALID_ARGUMENT, details });
export const unimplemented = (details: string): Refusal => ({ code: status.UNIMPLEMENTED, details });
