/** The values a stream sent last, of leaves that some subscription suppresses while they stay the same (M7). */
import { type GnmiCoverage } from './gnmi-coverage.ts';
import { type PathElem } from '../schemas/path.ts';

export class LastSent {
  readonly #coverage: GnmiCoverage;
  /** By device and key, so that an entry of a list is never taken for another one. */
  readonly #values = new Map<string, Map<string, string>>();

  constructor(coverage: GnmiCoverage) {
    this.#coverage = coverage;
  }

  sent(device: string, key: string, elems: () => readonly PathElem[], value: Buffer): void {
    if (this.#coverage.isEmpty || !this.#coverage.coversElems(key, elems())) return;
    const values = this.#values.get(device) ?? new Map<string, string>();
    this.#values.set(device, values);
    values.set(key, value.toString('latin1'));
  }

  removed(device: string, key: string): void {
    this.#values.get(device)?.delete(key);
  }

  forget(device: string): void {
    this.#values.delete(device);
  }

  differs(device: string, key: string, value: Buffer): boolean {
    return this.#values.get(device)?.get(key) !== value.toString('latin1');
  }
}
