/**
 * Changes as JSON text for streams. A change is told to many subscribers, mostly at once: its text is made once per encoding;
 * what differs per subscriber, the age and what was coalesced, is put in when it is sent.
 *
 * CT1. Texts of the latest changes are kept, at least `textsKept` and at most twice as many, and only while the change is:
 *      what waits long for a slow reader is made again for it, for the text is thrice as large as the change.
 */
import { parseOrigin } from '../schemas/path.ts';
import { formatPosition } from '../schemas/position.ts';
import { type ValueEncoding } from '../schemas/value.ts';
import { ageMs, leafParts, type LeafParts } from './leaf-json.ts';
import { type LeafChange } from './state-feed.ts';
import { type LeafView } from './store.ts';

/** A tenth of a second at 40,000 changes/s: whoever reads is told within it. */
const textsKeptDefault = 4_096;

export class ChangeTexts {
  readonly #kept: number;
  #young = new Map<ValueEncoding, WeakMap<LeafChange, LeafParts>>();
  #old = new Map<ValueEncoding, WeakMap<LeafChange, LeafParts>>();
  #youngCount = 0;

  constructor(textsKept = textsKeptDefault) {
    this.#kept = textsKept;
  }

  /** `coalesced`: how many older values of the leaf this one stands for. */
  format(change: LeafChange, encoding: ValueEncoding, nowNs: bigint, coalesced: number): string {
    const { leaf } = change;
    if (leaf === null) return formatDelete(change);
    const { beforeAge, afterAge } = this.parts(change, leaf, encoding);
    const more = coalesced === 0 ? '' : `,"coalesced":${coalesced}`;
    return `${beforeAge}${ageMs(leaf, nowNs)}${afterAge}${more}}`;
  }

  /** `leaf`: what the change set. */
  parts(change: LeafChange, leaf: LeafView, encoding: ValueEncoding): LeafParts {
    const known = this.#young.get(encoding)?.get(change) ?? this.#old.get(encoding)?.get(change);
    if (known !== undefined) return known;
    const made = leafParts(leaf, change.slot, encoding);
    if (this.#youngCount >= this.#kept) {
      this.#old = this.#young; // CT1
      this.#young = new Map();
      this.#youngCount = 0;
    }
    const young = this.#young.get(encoding) ?? new WeakMap<LeafChange, LeafParts>();
    this.#young.set(encoding, young);
    young.set(change, made);
    this.#youngCount += 1;
    return made;
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
