import { type GnmiEncoding } from '../schemas/gnmi.ts';
import { type Refusal } from '../core/gnmi/refusal.ts';
import { type ValueForm } from '../core/gnmi/value-form.ts';

/** What lasting faults have set on a device; the defaults are a device in good health. */
export interface Conditions {
  /** Nothing is sent and no RPC is answered. */
  stalled: boolean;
  /** Values do not change. */
  frozen: boolean;
  /** Every RPC ends with it. */
  refusal: Refusal | null;
  unsynced: boolean;
  noCapabilities: boolean;
  offers: readonly GnmiEncoding[];
  sends: ValueForm | null;
  streamsMax: number;
  hugeBytes: number | null;
}

export function healthy(): Conditions {
  return {
    stalled: false,
    frozen: false,
    refusal: null,
    unsynced: false,
    noCapabilities: false,
    offers: ['PROTO', 'JSON_IETF', 'JSON'],
    sends: null,
    streamsMax: Number.POSITIVE_INFINITY,
    hugeBytes: null,
  };
}
