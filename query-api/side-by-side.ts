/** Components that do not need each other: started together, so that the slowest one alone decides how long it takes. */
import { manyWaits } from '../core/abort.ts';
import { type Component } from '../core/lifecycle.ts';

export class SideBySide implements Component {
  readonly name: string;
  readonly #components: readonly Component[];

  constructor(name: string, components: readonly Component[]) {
    this.name = name;
    this.#components = components;
  }

  /** Rejects with the first failure; whoever starts us then stops us, and with us those that started. */
  async start(signal: AbortSignal): Promise<void> {
    const shared = manyWaits(signal); // every slot of every table listens while it is read
    await Promise.all(this.#components.map((component) => component.start(shared)));
  }

  async stop(): Promise<void> {
    const ends = await Promise.allSettled(this.#components.map((component) => component.stop()));
    const failure = ends.find((end) => end.status === 'rejected');
    if (failure !== undefined) throw failure.reason;
  }
}
