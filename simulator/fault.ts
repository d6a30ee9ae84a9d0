import { z } from 'zod';
import { gnmiEncodings } from '../schemas/gnmi.ts';

/**
 * What can be made to go wrong with a device. A lasting fault holds until `clear`, until another of its kind, or for
 * `forMs`; a momentary one happens once. The control port takes them as JSON.
 */
const forMs = z.int().min(1).max(86_400_000).optional();
const path = z.string().min(1);
const hugeBytes = z.int().min(1).max(134_217_728).default(20_000_000);
const statusCode = z.int().min(1).max(16);

const lastingFaultSchema = z.discriminatedUnion('kind', [
  /** Every connection is reset, again and again, `times` times. */
  z.strictObject({ kind: z.literal('flap'), everyMs: z.int().min(10), times: z.int().min(1).optional(), forMs }),
  /** The port is closed: connections are refused, those that stand are reset. */
  z.strictObject({ kind: z.literal('refuse'), forMs }),
  /** New connections are accepted and answered with what is no HTTP/2; standing ones are reset. */
  z.strictObject({ kind: z.literal('garbage'), forMs }),
  /** New connections are accepted and never answered; standing ones are reset. */
  z.strictObject({ kind: z.literal('silent'), forMs }),
  /** Every RPC ends with this gRPC status, streams that stand too. 14 is UNAVAILABLE. */
  z.strictObject({ kind: z.literal('status'), code: statusCode, message: z.string().default('by request'), forMs }),
  /** Nothing is sent any more and no RPC is answered, but sockets stay open. */
  z.strictObject({ kind: z.literal('stall'), forMs }),
  /** Values stop changing; samples, heartbeats and walks go on. */
  z.strictObject({ kind: z.literal('freeze'), forMs }),
  /** What encodings the device offers, and what it really sends. */
  z.strictObject({
    kind: z.literal('encoding'),
    offers: z.array(z.enum(gnmiEncodings)).optional(),
    sends: z.enum(['proto', 'json', 'json_ietf']).optional(),
    forMs,
  }),
  /** New streams never get their sync_response. */
  z.strictObject({ kind: z.literal('unsynced'), forMs }),
  /** Capabilities answers UNIMPLEMENTED. */
  z.strictObject({ kind: z.literal('no-capabilities'), forMs }),
  /** More Subscribe RPCs at a time end with RESOURCE_EXHAUSTED. */
  z.strictObject({ kind: z.literal('limit'), streams: z.int().min(0), forMs }),
  /** Every walk is followed by a message of this size that changes nothing. */
  z.strictObject({ kind: z.literal('huge-walks'), bytes: hugeBytes, forMs }),
  /** Which certificate new connections are shown; standing ones are reset. */
  z.strictObject({ kind: z.literal('certificate'), which: z.enum(['expired', 'misnamed', 'untrusted']), forMs }),
]);

const momentaryFaultSchema = z.discriminatedUnion('kind', [
  /** Every connection ends with a TCP reset. */
  z.strictObject({ kind: z.literal('reset') }),
  /** A message that is no SubscribeResponse, on every stream. */
  z.strictObject({ kind: z.literal('malformed') }),
  /** A valid message of this size that changes nothing, on every stream. */
  z.strictObject({ kind: z.literal('huge'), bytes: hugeBytes }),
  /** The deprecated `error` response, on every stream. */
  z.strictObject({
    kind: z.literal('error-response'),
    code: statusCode.default(13),
    message: z.string().default('by request'),
  }),
  /** The device's clock jumps by so much, and stays so; step back to undo. */
  z.strictObject({ kind: z.literal('clock-step'), byMs: z.int().min(-1e12).max(1e12) }),
  /** Leaves or subtrees go, wildcards allowed, until restored. */
  z.strictObject({ kind: z.literal('delete'), path }),
  /** Deleted leaves come back and set ones change again; the root restores everything. */
  z.strictObject({ kind: z.literal('restore'), path: path.default('/') }),
  z.strictObject({ kind: z.literal('remove-interface'), interface: z.string().min(1) }),
  z.strictObject({ kind: z.literal('add-interface'), interface: z.string().min(1) }),
  /** Ends every lasting fault. */
  z.strictObject({ kind: z.literal('clear') }),
]);

export const faultSchema = z.union([lastingFaultSchema, momentaryFaultSchema]);

export type LastingFault = z.infer<typeof lastingFaultSchema>;
export type MomentaryFault = z.infer<typeof momentaryFaultSchema>;
export type Fault = LastingFault | MomentaryFault;
/** As a caller writes it, defaults left out. */
export type FaultInput = z.input<typeof faultSchema>;

const lastingKinds: ReadonlySet<string> = new Set(lastingFaultSchema.options.map((one) => one.shape.kind.value));

export function isLasting(fault: Fault): fault is LastingFault {
  return lastingKinds.has(fault.kind);
}
