/** Random lives of a stream: what devices change, how fast the reader takes it, when it is cut off. */
import fc from 'fast-check';
import { encodeTypedValue } from '../../schemas/value.ts';
import { slotOf } from '../../schemas/slot.ts';
import { settled } from '../support/fake-clock.ts';
import { slots, type StreamedLife } from './streamed-life.ts';

const deviceNames = ['leaf-1', 'leaf-2', 'leaf-3', 'leaf-4'];

export type StreamStep =
  | { readonly kind: 'write'; readonly device: string; readonly set: readonly number[]; readonly gone: readonly number[] }
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

const seqs = new WeakMap<StreamedLife, bigint>();

/** Leaves 0 to 2 are sampled; the others, and every delete, must reach the reader one by one. */
export function writeLeaves(life: StreamedLife, { device, set, gone }: Omit<StreamStep & { kind: 'write' }, 'kind'>): void {
  const seq = (seqs.get(life) ?? 1n) + 1n;
  seqs.set(life, seq);
  const leaf = (n: number) => ({ device, origin: 'openconfig', path: `/a/l${n}` });
  const value = encodeTypedValue({ kind: 'uint', value: seq % 128n });
  const deleted = gone.filter((n) => !set.includes(n));
  if (set.length + deleted.length === 0) return;
  life.state.write(seq, set.map((n) => ({ ...leaf(n), value, sampled: n < 3 })), deleted.map(leaf));
} // prettier-ignore

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
