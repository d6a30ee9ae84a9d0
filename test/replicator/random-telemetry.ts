import { systemClock } from '../../core/clock.ts';
import { type Random, seededRandom } from '../../core/random.ts';
import { slotOf } from '../../schemas/slot.ts';
import { TelemetryLog } from './telemetry-log.ts';

/** Random telemetry of one slot: a few devices, a small tree, everything that markers can say. */
export class RandomTelemetry {
  readonly slot: number;
  readonly log: TelemetryLog;
  readonly #devices: readonly string[];
  readonly #random: Random;
  #nowNs = 1_000;

  constructor(slot: number, slots: number) {
    this.slot = slot;
    this.log = new TelemetryLog(100n, slot);
    this.log.receivedAtNs = systemClock.nowNs(); // Kafka drops what is older than the retention
    this.#devices = Array.from({ length: 40 }, (_, index) => `leaf-${index}`)
      .filter((name) => slotOf(name, slots) === slot)
      .slice(0, 5);
    this.#random = seededRandom(slot + 1);
  }

  readonly say = (steps: number): void => {
    for (let step = 0; step < steps; step += 1) {
      const device = this.#pick(this.#devices);
      const dice = this.#random.next();
      if (dice < 0.8) this.#notify(device);
      else if (dice < 0.87)
        this.log.open(device, [this.#pick(['/a', '/a/x', '/'])], {
          mode: this.#pick(['sample', 'sample', 'on-change']),
        });
      else if (dice < 0.94) this.log.marker('synced', device);
      else if (dice < 0.96) this.log.marker('closed', device, { reason: 'ended' });
      else if (dice < 0.97) this.log.marker('closed', device, { reason: 'removed' });
      else if (dice < 0.98) this.log.marker('gap', device, { reason: 'overload' });
      else this.log.owner();
    }
  };

  #notify(device: string): void {
    this.#nowNs += 10;
    const late = this.#random.next() < 0.2 ? Math.floor(this.#random.next() * 200) : 0;
    const updates = Array.from({ length: Math.floor(this.#random.next() * 5) }, () => {
      const entry = Math.floor(this.#random.next() * 6);
      return [`/a/x[k=${entry}]/${this.#pick(['v', 'w'])}`, Math.floor(this.#random.next() * 100)] as const;
    });
    const deletes = this.#random.next() < 0.2 ? [this.#pick(['/a/x[k=1]', '/a/x[k=2]/v', '/a/x', '/a/.../w'])] : [];
    const atomic = this.#random.next() < 0.1;
    const at = this.#nowNs - late;
    if (atomic) this.log.say(device, { at, prefix: '/a/x[k=7]', updates: [['/v', at]], atomic });
    else this.log.say(device, { at, updates, deletes });
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random.next() * from.length)]!;
  }
}
