import { expect, test } from '@jest/globals';
import { framePrefix } from '../../schemas/frame.ts';
import { encodeHeader, RecordMalformed } from '../../schemas/position.ts';
import { deviceStatusCodec } from '../../schemas/status.ts';
import { decodeStatusRow, newerStatusRow } from '../../query-api/status-row.ts';
import { statusOf } from './api-fixture.ts';

const status = statusOf('leaf-1', 'synced');
const record = (epoch: bigint, seq: bigint) => ({
  offset: 0n,
  timestampMs: 0,
  key: Buffer.from('leaf-1'),
  value: Buffer.concat([framePrefix(7), deviceStatusCodec.encode(status)]),
  header: encodeHeader({ kind: 'data', slot: 3, epoch, seq, rpc: 0, receivedAtNs: 0n }),
});

test('a row is the status and the position it was said at', () => {
  expect(decodeStatusRow(record(9n, 4n))).toMatchObject({ status, position: { slot: 3, epoch: 9n, seq: 4n } });
});

test('a displaced owner cannot take back what its successor said', () => {
  const [older, newer] = [decodeStatusRow(record(8n, 99n)), decodeStatusRow(record(9n, 1n))];
  expect(newerStatusRow(newer, older)).toBe(true);
  expect(newerStatusRow(older, newer)).toBe(false);
  expect(newerStatusRow(decodeStatusRow(record(9n, 1n)), newer)).toBe(true); // said again at one position: the later holds
});

test.each([
  ['a tombstone', { ...record(9n, 1n), value: null }],
  ['no header', { ...record(9n, 1n), header: null }],
])('%s is malformed', (_what, malformed) => {
  expect(() => decodeStatusRow(malformed)).toThrow(RecordMalformed);
});
