import { HoldfastError } from '../../core/errors.ts';
import { markerCodec } from '../../schemas/marker.ts';
import { deviceStatusCodec } from '../../schemas/status.ts';
import { encodeMarker, SlotWriter } from '../../ingest/slot-writer.ts';
import { RecordedLog, recordedContext } from '../support/recorded-log.ts';

const listener = { acked: () => undefined };
const status = { ...deviceStatusCodec.decode(Buffer.alloc(0)), device: 'leaf-1', state: 'synced' as const };

test('data keeps its bytes, markers say who wrote them, status carries the last position (W2)', () => {
  const log = new RecordedLog();
  const writer = new SlotWriter(3, log, recordedContext());
  const device = writer.device('leaf-1');
  void writer.owner({ reason: 'start' });
  device.data(2, Buffer.from('bytes'), 7n, listener);
  device.marker('closed', { reason: 'drain' });
  device.status(status);
  device.status(null);
  expect(log.telemetry.map(({ key, kind, rpc, seq }) => [key, kind, rpc, seq])).toEqual([
    ['slot/3', 'owner', 0, 1n],
    ['leaf-1', 'data', 2, 2n],
    ['leaf-1', 'closed', 0, 3n],
  ]);
  expect(log.markers('closed')[0]).toMatchObject({ device: 'leaf-1', instance: 'ingest-1', incarnation: 'run-1' });
  expect(log.statuses).toMatchObject([
    { device: 'leaf-1', seq: 3n, status: { state: 'synced' } },
    { device: 'leaf-1', seq: 3n, status: null },
  ]);
});

test('W3: a log that takes nothing more is no error of a session; anything else is', async () => {
  const log = new RecordedLog();
  const device = new SlotWriter(0, log, recordedContext()).device('leaf-1');
  const say = (): void => {
    device.data(0, Buffer.from('x'), 1n, listener);
    device.marker('closed', {});
    device.status(status);
  };
  let thrown: Error = new HoldfastError('LEASE_LOST', 'gone');
  log.appendNumbered = log.append = () => {
    throw thrown;
  };
  expect(say).not.toThrow();
  thrown = new Error('a bug');
  expect(say).toThrow('a bug');
});

test('a marker says only what it was told', () => {
  expect(markerCodec.decode(encodeMarker('gap', { device: 'd', reason: 'refused', lost: 1n }))).toMatchObject({
    kind: 'gap',
    device: 'd',
    reason: 'refused',
    lost: 1n,
    detail: '',
    subscriptions: [],
  });
});
