/** An audit that cannot see a fault proves nothing. */
import { expect, test } from '@jest/globals';
import { auditSlots, type AuditRecord } from './fault-audit.ts';
import { gapsOf, holdingsOf, overlapsOf } from './fault-holdings.ts';

function records(...texts: readonly string[]): AuditRecord[] {
  return texts.map((text) => {
    const [instanceId = '', epoch = '', seq = '', count = '0'] = text.split(' ');
    return { instanceId, epoch: BigInt(epoch), seq: BigInt(seq), count: BigInt(count), kind: kindOf(count) };
  });
}
const kindOf = (count: string): 'owner' | 'data' => (count === '0' ? 'owner' : 'data');
const acked = (slot: number, epoch: string, ackedSeq: string) => ({
  slot,
  epoch,
  ackedSeq,
  appendedSeq: ackedSeq,
  appendedAtMs: 0,
  ackedAtMs: 0,
  silenceMsMax: 0,
});

test('a log that is as it should be has no problems, and its epochs are told', () => {
  const audit = auditSlots([records('a 1 1', 'a 1 2 1', 'a 1 3 2', 'b 5 1', 'b 5 2 1'), []], [acked(0, '1', '3')]);
  expect(audit.problems).toEqual([]);
  expect(audit.epochs[0]).toEqual([
    { slot: 0, epoch: 1n, instanceId: 'a', lastSeq: 3n },
    { slot: 0, epoch: 5n, instanceId: 'b', lastSeq: 2n },
  ]);
});

test.each([
  ['FA1: a record behind the successor’s first', ['a 1 1', 'b 2 1', 'a 1 2 1']],
  ['FA2: a hole', ['a 1 1', 'a 1 3 1']],
  ['FA2: a repeat', ['a 1 1', 'a 1 2 1', 'a 1 2 2']],
  ['FA2: an epoch that begins behind its first record', ['a 1 2 1']],
  ['FA3: no marker', ['a 1 1 1']],
  ['FA3: a marker in the middle', ['a 1 1', 'a 1 2']],
  ['FA4: two instances in one epoch', ['a 1 1', 'b 1 2 1']],
  ['FA4: a value is missing', ['a 1 1', 'a 1 2 2']],
  ['FA4: a value comes twice', ['a 1 1', 'a 1 2 1', 'a 1 3 1']],
])('%s is seen', (name, texts) => {
  const { problems } = auditSlots([records(...texts)]);
  expect(problems.some((problem) => problem.startsWith(name.slice(0, 3)))).toBe(true);
});

test('FA5: what was acked and is not in the log is seen', () => {
  const log = [records('a 1 1', 'a 1 2 1')];
  expect(auditSlots(log, [acked(0, '1', '3')]).problems).toEqual(['FA5 slot 0 epoch 1: acked to 3, in the log to 2']);
  expect(auditSlots(log, [acked(0, '9', '1')]).problems).toHaveLength(1);
  expect(auditSlots(log, [acked(0, '9', '0')]).problems).toEqual([]);
});

test('O1: two holders at one moment are seen, a hand-over is none', () => {
  const event = (kind: 'activate' | 'drop', atMs: number) => ({ event: kind, slot: 3, atMs, epoch: '1' });
  const a = holdingsOf('a', [event('activate', 10), event('drop', 20)]);
  expect(overlapsOf([...a, ...holdingsOf('b', [event('activate', 20)])])).toEqual([]);
  expect(overlapsOf([...a, ...holdingsOf('b', [event('activate', 15)])])).toEqual(['slot 3: a and b for 5 ms']);
  expect(overlapsOf([...a, ...holdingsOf('b', [event('activate', 5)], 12)])).toEqual(['slot 3: a and b for 2 ms']);
});

test('a gap between two holdings of a slot is told, an overlap is none', () => {
  const event = (kind: 'activate' | 'release', atMs: number) => ({ event: kind, slot: 3, atMs, epoch: '1' });
  const a = holdingsOf('a', [event('activate', 10), event('release', 20)]);
  expect(gapsOf([...holdingsOf('b', [event('activate', 27)]), ...a])).toEqual([{ slot: 3, fromMs: 20, toMs: 27 }]);
  expect(gapsOf([...a, ...holdingsOf('b', [event('activate', 15)])])).toEqual([]);
  expect(gapsOf(a)).toEqual([]);
});
