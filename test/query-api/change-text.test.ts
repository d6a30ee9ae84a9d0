import { expect, test } from '@jest/globals';
import { ChangeTexts } from '../../query-api/change-text.ts';
import { leafChange } from '../../query-api/leaf-change.ts';
import { LeafStore } from '../../query-api/leaf-store.ts';
import { type LeafChange } from '../../query-api/state-feed.ts';
import { encodeTypedValue } from '../../schemas/value.ts';

const names = new LeafStore();

function change(seq: number): LeafChange {
  const header = { slot: 3, epoch: 5n, seq: BigInt(seq), kind: 'data', rpc: 0, receivedAtNs: 9n } as const;
  const value = encodeTypedValue({ kind: 'uint', value: BigInt(seq) });
  const leaf = { value, timestampNs: 1_000_000n, atomicRoot: '', sampled: false };
  return leafChange(names, 3, { header, device: 'd', key: 'o:/a', leaf });
}

test('the age is that of the moment, and what was coalesced is that of the subscriber', () => {
  const texts = new ChangeTexts();
  const one = change(7);
  const said = [texts.format(one, 'rfc7951', 5_000_000n, 0), texts.format(one, 'rfc7951', 9_000_000n, 2)];
  const leaf = { device: 'd', origin: 'o', path: '/a', value: '7', type: 'uint', timestamp: '1000000' };
  expect(said.map((text) => JSON.parse(text) as unknown)).toEqual([
    { ...leaf, ageMs: 4, position: '3:5:7' },
    { ...leaf, ageMs: 8, position: '3:5:7', coalesced: 2 },
  ]);
});

test('CT1: the texts of the latest changes are made once, those of older ones are let go while the changes wait', () => {
  const texts = new ChangeTexts(10);
  const waiting = Array.from({ length: 40 }, (_, seq) => change(seq));
  const partsOf = (one: LeafChange) => texts.parts(one, one.leaf!, 'rfc7951');
  const first = waiting.map(partsOf);
  // From the end: what is made again takes the place of the oldest.
  const kept = waiting
    .map((one, n) => [one, first[n]] as const)
    .toReversed()
    .map(([one, made]) => partsOf(one) === made);
  expect(kept.slice(0, 10)).toEqual(Array(10).fill(true));
  expect(kept.slice(20)).toEqual(Array(20).fill(false));
});
