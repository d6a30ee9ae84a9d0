import { type Change, type ContainerChange, type DeviceTree } from './device-tree.ts';
import { type Outbox } from './outbox.ts';
import { encodeChange, encodeContainerChange, type SubscriberView } from './subscriber-view.ts';

/** Who is to be told about the changes of one device: outboxes by view, so that a change is encoded once per view. */
export class SubscriberHub {
  readonly #tree: DeviceTree;
  readonly #views = new Map<string, { view: SubscriberView; outboxes: Set<Outbox> }>();
  #sent = 0;

  constructor(tree: DeviceTree) {
    this.#tree = tree;
  }

  /** Messages handed to outboxes since the start. */
  get sent(): number {
    return this.#sent;
  }

  /** Returns the way to leave. */
  join(view: SubscriberView, outbox: Outbox): () => void {
    let entry = this.#views.get(view.key);
    if (entry === undefined) this.#views.set(view.key, (entry = { view, outboxes: new Set() }));
    const { outboxes } = entry;
    outboxes.add(outbox);
    return () => {
      outboxes.delete(outbox);
      if (outboxes.size === 0) this.#views.delete(view.key);
    };
  }

  publish(change: Change): void {
    this.#toEach((view) => encodeChange(this.#tree, view, change));
  }

  publishContainer(change: ContainerChange): void {
    this.#toEach((view) => encodeContainerChange(this.#tree, view, change));
  }

  /** The same bytes to everybody, whatever they asked for: for faults. */
  broadcast(message: Buffer): void {
    this.#toEach(() => message);
  }

  #toEach(encode: (view: SubscriberView) => Buffer | null): void {
    for (const { view, outboxes } of this.#views.values()) {
      const message = encode(view);
      if (message === null) continue;
      this.#sent += outboxes.size;
      for (const outbox of outboxes) outbox.send(message);
    }
  }
}
