import { type Clock, systemClock } from '../../core/clock.ts';
import { GapMarks } from '../../ingest/gap-marks.ts';
import { SlotWriter } from '../../ingest/slot-writer.ts';
import { RecordedLog, recordedContext } from '../support/recorded-log.ts';

test('the first loss is marked at once, further ones together, and no loss is left out', () => {
  let nowMs = 1_000;
  const clock: Clock = { ...systemClock, monotonicMs: () => nowMs, nowNs: () => BigInt(nowMs) * 1_000_000n };
  const log = new RecordedLog();
  let room = true;
  const marked: unknown[] = [];
  const marks = new GapMarks({
    log: new SlotWriter(0, log, recordedContext()).device('leaf-1'),
    clock,
    mayMark: () => room,
    onMarked: ({ reason, fromNs, toNs }) => marked.push([reason, toNs - fromNs]),
  });
  const said = () =>
    log.markers('gap').map(({ reason, lost, lostFromNs, lostToNs }) => [reason, lost, lostToNs - lostFromNs]);
  marks.lost('malformed', 'one');
  expect(said()).toEqual([['malformed', 1n, 0n]]);
  for (let n = 0; n < 3; n += 1) {
    nowMs += 100;
    marks.lost('malformed', 'more');
  }
  marks.tick(nowMs);
  expect(said()).toHaveLength(1);
  nowMs += 700;
  marks.tick(nowMs);
  expect(said().at(-1)).toEqual(['malformed', 3n, 200_000_000n]);
  marks.lost('malformed', 'a');
  marks.lost('too-large', 'b'); // another reason is another marker
  marks.flush();
  marks.flush();
  expect(said().slice(2)).toEqual([
    ['malformed', 1n, 0n],
    ['too-large', 1n, 0n],
  ]);
  nowMs += 5_000;
  room = false;
  marks.lost('malformed', 'with Kafka away');
  nowMs += 5_000;
  marks.lost('malformed', 'and one more');
  expect(said()).toHaveLength(4);
  room = true;
  marks.tick(nowMs);
  expect(said().at(-1)).toEqual(['malformed', 2n, 5_000_000_000n]);
  expect(marked).toEqual(said().map(([reason, , lasted]) => [reason, lasted]));
});
