import { type Logger } from '../logger.ts';
import { type SlotKind, type SlotState } from './slot-state.ts';

/** One log line for what happened to many slots: a fleet of them changes hands at once, and a line each would bury it. */
export class SlotSummary {
  readonly #logger: Logger;
  #acquired = 0;
  #released = 0;
  #lost = 0;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  changed(from: SlotKind, to: SlotKind): void {
    if (to === 'active') this.#acquired += 1;
    if (to === 'lost') this.#lost += 1;
    if (from === 'releasing' && (to === 'none' || to === 'assigned')) this.#released += 1;
  }

  /** Prints what has accumulated once nothing is on its way any more. */
  settle(states: readonly SlotState[]): void {
    if (states.some(({ kind }) => kind === 'acquiring' || kind === 'releasing' || kind === 'lost')) return;
    const active = states.filter(({ kind }) => kind === 'active').length;
    if (this.#acquired > 0) this.#logger.info({ count: this.#acquired, active }, 'slots acquired');
    if (this.#released > 0) this.#logger.info({ count: this.#released, active }, 'slots released');
    if (this.#lost > 0) this.#logger.warn({ count: this.#lost, active }, 'slots lost');
    this.#acquired = 0;
    this.#released = 0;
    this.#lost = 0;
  }
}
