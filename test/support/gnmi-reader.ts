import { Client, type ClientDuplexStream, credentials, type ServiceError } from '@grpc/grpc-js';
import { healthRoot } from '../../query-api/gnmi-health.ts';
import { gnmi, type SubscribeResponse } from '../../schemas/gnmi.ts';
import { formatElems, parsePath } from '../../schemas/path.ts';
import { leafKey } from '../../schemas/topics.ts';
import { decodeTypedValue } from '../../schemas/value.ts';

/**
 * A gNMI client that subscribes to every device and holds what it was sent, and nothing else: for loads of which
 * `test/simulator/subscriber.ts` could not keep every message. It trusts a full set to be full, as collectors do: what a
 * stream does not bring before its `sync_response` is gone.
 */
export class GnmiReader {
  /** By key of the leaf, `device|origin:/path`: value as text. */
  leaves = new Map<string, string>();
  /** Of leaves of devices: what the server itself says of a device, below `/meta`, is no operation of anybody's. */
  updates = 0;
  deletes = 0;
  /** Sum of `Update.duplicates` of `updates`. */
  duplicates = 0;
  synced = false;
  /** Set when the stream ended. */
  end: { readonly code: number; readonly details: string } | null = null;
  readonly #client: Client;
  readonly #call: ClientDuplexStream<Buffer, Buffer>;

  constructor(address: string) {
    const identity = (bytes: Buffer): Buffer => bytes;
    this.#client = new Client(address, credentials.createInsecure(), {
      'grpc.max_receive_message_length': -1,
      'grpc.use_local_subchannel_pool': 1,
    });
    this.#call = this.#client.makeBidiStreamRequest('/gnmi.gNMI/Subscribe', identity, identity);
    this.#call.on('data', (bytes: Buffer) => this.#received(gnmi.SubscribeResponse.decode(bytes)));
    this.#call.on('error', ({ code, details }: ServiceError) => (this.end ??= { code, details }));
    this.#call.on('status', (status: { code: number; details: string }) => (this.end ??= status));
    this.#call.write(
      gnmi.SubscribeRequest.encode({
        subscribe: {
          mode: 'STREAM',
          encoding: 'PROTO',
          prefix: { origin: '', target: '*', elems: [] },
          subscription: [{ path: parsePath('/'), mode: 'ON_CHANGE' }],
        },
      }),
    );
  }

  /** Reads nothing more: what arrives waits in the kernel, then at the sender. */
  pause(): void {
    this.#call.pause();
  }

  resume(): void {
    this.#call.resume();
  }

  close(): void {
    this.#call.cancel();
    this.#client.close();
  }

  #received({ update: notification, syncResponse }: SubscribeResponse): void {
    if (syncResponse === true) this.synced = true;
    if (notification === undefined) return;
    const device = notification.prefix?.target ?? '';
    const head = notification.prefix?.elems ?? [];
    const origin = notification.prefix?.origin ?? '';
    const keyOf = (path: { readonly origin: string; readonly elems: typeof head }): string =>
      leafKey(device, path.origin || origin || 'openconfig', formatElems([...head, ...path.elems]));
    for (const path of notification.delete) {
      this.deletes += 1;
      this.leaves.delete(keyOf(path));
    }
    for (const { path, val, duplicates } of notification.update) {
      if (path === undefined || val === undefined) continue;
      const [first] = [...head, ...path.elems];
      if (first?.name !== healthRoot) {
        this.updates += 1;
        this.duplicates += duplicates;
      }
      const value = decodeTypedValue(val);
      this.leaves.set(keyOf(path), value !== null && 'value' in value ? String(value.value) : '');
    }
  }
}
