/** Random lives of a stream: what devices change, how fast the reader takes it, when it is cut off. */
import fc from '../support/properties.ts';
import { encodeTypedValue } from '../../schemas/value.ts';
import { slotOf } from '../../schemas/slot.ts';
import { settled } from '../support/fake-clock.ts';
import { slots, type StreamedLife } from './streamed-life.ts';

const deviceNames = ['leaf-1', 'leaf-2', 'leaf-3', 'leaf-4'];

interface WriteStep {
  readonly kind: 'write';
  readonly device: string;
  readonly set: readonly number[];
  readonly gone: readonly number[];
}

export type StreamStep =
  | WriteStep
  | { readonly kind: 'take'; readonly writes: number }
  | { readonly kind: 'pass'; readonly ms: number }
  | { readonly kind: 'cut' }
  | { readonly kind: 'trim'; readonly slot: number }; // prettier-ignore

const leafNumbers = (maxLength: number) => fc.uniqueArray(fc.integer({ min: 0, max: 5 }), { maxLength });
const write = fc.record({
  kind: fc.constant('write' as const),
  device: fc.constantFrom(...deviceNames),
  set: leafNumbers(4),
  gone: leafNumbers(2),
});
const take = fc.record({ kind: fc.constant('take' as const), writes: fc.integer({ min: 1, max: 4 }) });
const pass = fc.record({ kind: fc.constant('pass' as const), ms: fc.constantFrom(1, 5, 20) });
const cut = fc.constant({ kind: 'cut' as const });
const trim = fc.record({ kind: fc.constant('trim' as const), slot: fc.nat(slots - 1) });

/** A reader that is never cut off. */
export const readSteps: fc.Arbitrary<StreamStep[]> = fc.array(
  fc.oneof({ weight: 10, arbitrary: write }, { weight: 3, arbitrary: take }, { weight: 2, arbitrary: pass }),
  { minLength: 5, maxLength: 80 },
);
export const cutSteps: fc.Arbitrary<StreamStep[]> = fc.array(
  fc.oneof(
    { weight: 10, arbitrary: write },
    { weight: 4, arbitrary: take },
    { weight: 2, arbitrary: pass },
    { weight: 2, arbitrary: cut },
    { weight: 1, arbitrary: trim },
  ),
  { minLength: 5, maxLength: 80 },
);

interface Written {
  seq: bigint;
  readonly present: Set<string>;
}
const written = new WeakMap<StreamedLife, Written>();

/**
 * Leaves 0 to 2 are sampled; the others, and every delete, must reach the reader one by one. As a replicator does, it
 * deletes what is there: of a tombstone for nothing a live reader is not told, one that reads the log is.
 */
export function writeLeaves(life: StreamedLife, { device, set, gone }: Omit<WriteStep, 'kind'>): void {
  const of = written.get(life) ?? { seq: 1n, present: new Set<string>() };
  written.set(life, of);
  const leaf = (n: number) => ({ device, origin: 'openconfig', path: `/a/l${n}` });
  const keyOf = (n: number): string => `${device}|${n}`;
  const deleted = gone.filter((n) => !set.includes(n) && of.present.has(keyOf(n)));
  if (set.length + deleted.length === 0) return;
  of.seq += 1n;
  const value = encodeTypedValue({ kind: 'uint', value: of.seq % 128n });
  for (const n of set) of.present.add(keyOf(n));
  for (const n of deleted) of.present.delete(keyOf(n));
  const said = set.map((n) => ({ ...leaf(n), value, sampled: n < 3 }));
  life.state.write(of.seq, said, deleted.map(leaf));
}

/** Plays the steps on a reader that is connected, and at the end lets it take everything. */
export async function play(life: StreamedLife, steps: readonly StreamStep[]): Promise<void> {
  for (const step of steps) {
    if (step.kind === 'write') writeLeaves(life, step);
    else if (step.kind === 'take') await life.take(step.writes);
    else if (step.kind === 'pass') await life.clock.advance(step.ms);
    else if (step.kind === 'trim') life.state.trim(step.slot);
    else {
      await life.cut();
      await life.connect(gapOf(life));
    }
    if (step.kind !== 'write') await settled();
  }
  await life.takeAll();
}

/** As the route decides it. */
function gapOf(life: StreamedLife) {
  if (life.cursor !== null && life.position().length < slots) return 'cursor-unknown';
  const kinds = life.position().map((position) => life.state.replay(position).kind);
  return kinds.includes('expired') ? 'cursor-expired' : null;
}

export const slotsOfDevices = new Set(deviceNames.map((device) => slotOf(device, slots)));
