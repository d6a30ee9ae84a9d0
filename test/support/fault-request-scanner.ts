/**
 * Reads the heads of Kafka requests in a stream as it goes by: size, API key, version, correlation id, client id. Keeps no
 * more than a head.
 */
const headLength = 14;

export class RequestScanner {
  readonly #onRequest: (apiKey: number, clientId: string) => void;
  #head = Buffer.alloc(0);
  /** Bytes of the request that goes by which are still to come. */
  #skip = 0;

  constructor(onRequest: (apiKey: number, clientId: string) => void) {
    this.#onRequest = onRequest;
  }

  push(bytes: Buffer): void {
    let rest = bytes;
    while (rest.length > 0) {
      if (this.#skip > 0) {
        const skipped = Math.min(this.#skip, rest.length);
        this.#skip -= skipped;
        rest = rest.subarray(skipped);
        continue;
      }
      const before = this.#head.length;
      this.#head = Buffer.concat([this.#head, rest.subarray(0, this.#missing())]);
      rest = rest.subarray(this.#head.length - before);
      if (this.#missing() > 0) continue;
      const clientId = this.#head.toString('utf8', headLength);
      this.#skip = Math.max(0, this.#head.readInt32BE(0) + 4 - this.#head.length);
      const apiKey = this.#head.readInt16BE(4);
      this.#head = Buffer.alloc(0);
      this.#onRequest(apiKey, clientId);
    }
  }

  /** What a whole head lacks. */
  #missing(): number {
    if (this.#head.length < headLength) return headLength - this.#head.length;
    return headLength + Math.max(0, this.#head.readInt16BE(12)) - this.#head.length;
  }
}
