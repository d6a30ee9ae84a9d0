/** Names that were deleted lately, so that a 404 can say "deleted" and not only "unknown". Bounded: oldest go first. */
const namesMax = 1_000;

export class DeletedNames {
  readonly #names = new Set<string>();

  changed(name: string, exists: boolean): void {
    this.#names.delete(name);
    if (exists) return;
    this.#names.add(name);
    const [oldest] = this.#names;
    if (this.#names.size > namesMax && oldest !== undefined) this.#names.delete(oldest);
  }

  has(name: string): boolean {
    return this.#names.has(name);
  }
}
