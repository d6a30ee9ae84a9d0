import { expect, test } from '@jest/globals';
import { chunkMask, chunkRows, highHalf, LeafColumns, lowHalf } from '../../core/leaf-columns.ts';

test('rows are taken in order, across chunks, and freed rows first', () => {
  const columns = new LeafColumns();
  const rows = Array.from({ length: chunkRows + 2 }, () => columns.take());
  expect(rows).toEqual(rows.map((_, index) => index));
  columns.free(1);
  columns.free(chunkRows);
  expect(columns.size).toBe(chunkRows);
  expect([columns.take(), columns.take(), columns.take()]).toEqual([chunkRows, 1, chunkRows + 2]);
});

test('columns of a chunk do not lie in each other, and 64 bits have their halves where they are looked for (LC1)', () => {
  const columns = new LeafColumns();
  const chunk = columns.chunk(columns.take());
  const last = chunkMask;
  for (const index of [0, last]) {
    chunk.seq[index] = 0x0000_0001_ffff_fffen;
    chunk.timestampNs[index] = -2n;
    chunk.value[index * 2] = 3;
    chunk.value[index * 2 + 1] = 4;
    chunk.epoch[index] = 5;
    chunk.path[index] = 6;
    chunk.kind[index] = 7;
    chunk.flags[index] = 8;
    chunk.atomicDepth[index] = 9;
  }
  for (const index of [0, last]) {
    expect([chunk.seqHalves[index * 2 + highHalf], chunk.seqHalves[index * 2 + lowHalf]]).toEqual([1, 0xffff_fffe]);
    expect([chunk.timestampHalves[index * 2 + highHalf], chunk.timestampHalves[index * 2 + lowHalf]]).toEqual([-1, -2]);
    expect([chunk.seq[index], chunk.timestampNs[index], chunk.value[index * 2], chunk.value[index * 2 + 1]]).toEqual([
      0x0000_0001_ffff_fffen,
      -2n,
      3,
      4,
    ]);
    expect([
      chunk.epoch[index],
      chunk.path[index],
      chunk.kind[index],
      chunk.flags[index],
      chunk.atomicDepth[index],
    ]).toEqual([5, 6, 7, 8, 9]);
  }
});
