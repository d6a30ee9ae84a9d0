/** RPCs that are open, by the address of their client: bounded in all, and for one address. */
export interface OpenCallsLimits {
  /** As texts name them: `Subscribe RPCs`. */
  readonly what: string;
  readonly max: number;
  readonly maxPerClient: number;
}

export class OpenCalls<C> {
  readonly #limits: OpenCallsLimits;
  readonly #clients = new Map<C, string>();
  readonly #ofClient = new Map<string, number>();

  constructor(limits: OpenCallsLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#clients.size;
  }

  /** Those that are open now. */
  all(): C[] {
    return [...this.#clients.keys()];
  }

  /** `peer` is `host:port` or `[v6]:port`. Null: there is room, else why not; it counts until `delete` either way. */
  add(call: C, peer: string): string | null {
    const { what, max, maxPerClient } = this.#limits;
    const client = peer.replace(/:\d+$/, '');
    const ofClient = (this.#ofClient.get(client) ?? 0) + 1;
    this.#clients.set(call, client);
    this.#ofClient.set(client, ofClient);
    if (this.size > max) return `no more than ${max} ${what} at a time`;
    return ofClient > maxPerClient ? `no more than ${maxPerClient} ${what} at a time from one address` : null;
  }

  delete(call: C): void {
    const client = this.#clients.get(call);
    if (client === undefined) return;
    this.#clients.delete(call);
    const left = (this.#ofClient.get(client) ?? 1) - 1;
    if (left > 0) this.#ofClient.set(client, left);
    else this.#ofClient.delete(client);
  }
}
