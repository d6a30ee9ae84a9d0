/** Who wants to know at once that a device was added or removed. */
export class DeviceChanges {
  readonly #listeners = new Set<(device: string, exists: boolean) => void>();
  readonly #known = new Set<string>();

  /** Returns the way to leave. */
  listen(listener: (device: string, exists: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A record of the device was read: one of it is nothing new, if there was one before. */
  changed(device: string, exists: boolean): void {
    if (this.#known.has(device) === exists) return;
    if (exists) this.#known.add(device);
    else this.#known.delete(device);
    for (const listener of [...this.#listeners]) listener(device, exists);
  }
}
