/**
 * Changes as JSON text for streams. A change is told to many subscribers: its text is made once per encoding and kept for
 * as long as the change is; what differs per subscriber, the age and what was coalesced, is put in when it is sent.
 */
import { parseOrigin } from '../schemas/path.ts';
import { formatPosition } from '../schemas/position.ts';
import { type ValueEncoding } from '../schemas/value.ts';
import { ageMs, leafParts, type LeafParts } from './leaf-json.ts';
import { type LeafChange } from './state-feed.ts';

export class ChangeTexts {
  readonly #parts: Readonly<Record<ValueEncoding, WeakMap<LeafChange, LeafParts>>> = {
    rfc7951: new WeakMap(),
    native: new WeakMap(),
    typed: new WeakMap(),
  };

  /** `coalesced`: how many older values of the leaf this one stands for. */
  format(change: LeafChange, encoding: ValueEncoding, nowNs: bigint, coalesced: number): string {
    const { leaf } = change;
    if (leaf === null) return formatDelete(change);
    let parts = this.#parts[encoding].get(change);
    if (parts === undefined) {
      parts = leafParts(leaf, change.slot, encoding);
      this.#parts[encoding].set(change, parts);
    }
    const more = coalesced === 0 ? '' : `,"coalesced":${coalesced}`;
    return `${parts.beforeAge}${ageMs(leaf, nowNs)}${parts.afterAge}${more}}`;
  }
}

function formatDelete(change: LeafChange): string {
  const { device, key, timestampNs } = change;
  const parsed = parseOrigin(key);
  const origin = parsed?.origin ?? '';
  const path = parsed === undefined ? key : key.slice(parsed.end);
  return (
    `{"device":${JSON.stringify(device)},"origin":${JSON.stringify(origin)},"path":${JSON.stringify(path)}` +
    `,"timestamp":"${timestampNs}","position":"${formatPosition(change)}"}`
  );
}
