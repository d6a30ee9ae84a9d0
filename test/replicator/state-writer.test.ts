import { DeviceLeaves } from '../../replicator/device-leaves.ts';
import { StateWriter, unknownLagMs } from '../../replicator/state-writer.ts';
import { deferred } from '../../core/deferred.ts';
import { decodeFrame, framePrefix } from '../../schemas/frame.ts';
import { leafCodec } from '../../schemas/leaf.ts';
import { markerCodec } from '../../schemas/marker.ts';
import { decodeHeader } from '../../schemas/position.ts';
import { type RecordPoint } from '../../replicator/apply.ts';
import { leafSchemaId, markerSchemaId, path, slot, StateLog, uint } from './telemetry-log.ts';

const options = {
  slot,
  topic: 'holdfast.state',
  leafPrefix: framePrefix(leafSchemaId),
  markerPrefix: framePrefix(markerSchemaId),
  groupBytesMax: 1_000_000,
  unackedBytesMax: 100,
  conflateWindowNs: 0n,
  instance: 'replicator-1',
  incarnation: 'one',
};
const receivedAtNs = 1_795_246_383_702_000_001n;
const point: RecordPoint = { kind: 'data', rpc: 2, epoch: 5n, seq: 9n, receivedAtNs, offset: 0n, ordinal: 1 };

function changes(...texts: string[]) {
  const leaves = new DeviceLeaves('leaf-1');
  return texts.map((text) => {
    const entry = leaves.entry('openconfig', path(text).elems);
    leaves.set(entry, uint(18_446_744_073_709_551_615n));
    entry.timestampNs = 1_795_246_383_701_999_999n;
    entry.sampled = true;
    return entry;
  });
}

/** A port whose batches are acked when the test says so. */
function heldPort() {
  const acks: ReturnType<typeof deferred<undefined>>[] = [];
  const port = {
    unackedBytes: 0,
    append: () => {
      const ack = deferred<undefined>();
      acks.push(ack);
      port.unackedBytes += 80;
      return { acked: ack.promise };
    },
    start: () => Promise.resolve(),
    progress: () => ({ unacked: false, ackedBatches: 0 }),
    stop: () => 0,
  };
  const ack = async (index: number) => {
    port.unackedBytes -= 80;
    acks[index]!.resolve(undefined);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { port, acks, ack };
}

describe('state writer', () => {
  test('a leaf record says everything under the position of its cause', () => {
    const state = new StateLog();
    new StateWriter({ ...options, port: state }).write(point, changes('/a/b[k=1]'), 'leaf-1');
    const [record] = state.read();
    expect(record?.key?.toString()).toBe('leaf-1|openconfig:/a/b[k=1]');
    expect(record?.timestampMs).toBe(1_795_246_383_702);
    expect(decodeHeader(record!.header!)).toEqual({ kind: 'data', slot, rpc: 2, epoch: 5n, seq: 9n, receivedAtNs });
    const { schemaId, message } = decodeFrame(record!.value!);
    expect(schemaId).toBe(leafSchemaId);
    expect(leafCodec.decode(message)).toEqual({
      device: 'leaf-1',
      origin: 'openconfig',
      path: '/a/b[k=1]',
      value: uint(18_446_744_073_709_551_615n),
      timestampNs: 1_795_246_383_701_999_999n,
      atomicRoot: '',
      sampled: true,
    });
  });

  test('D10 a tombstone has the key of its leaf, the position of its cause and no value', () => {
    const state = new StateLog();
    const writer = new StateWriter({ ...options, port: state });
    const changed = changes('/a/b[k=1]');
    writer.write(point, changed, 'leaf-1');
    changed[0]!.value = null;
    writer.write({ ...point, seq: 10n }, changed, 'leaf-1');
    const [leaf, tombstone] = state.read();
    expect(tombstone?.key).toEqual(leaf?.key);
    expect(tombstone?.value).toBeNull();
    expect(decodeHeader(tombstone!.header!)).toEqual({ ...decodeHeader(leaf!.header!), seq: 10n });
  });

  test('W1 what one record causes is one batch, cut only beyond the bound', () => {
    const state = new StateLog();
    const changed = changes('/a', '/b', '/c');
    changed[1]!.value = null;
    new StateWriter({ ...options, port: state }).write(point, changed, 'leaf-1');
    expect(state.batches.map((batch) => batch.length)).toEqual([3]);
    expect(state.read()[1]?.value).toBeNull();
    new StateWriter({ ...options, port: state, groupBytesMax: 300 }).write(point, changed, 'leaf-1');
    expect(state.batches.map((batch) => batch.length)).toEqual([3, 2, 1]);
  });

  test('W1 every part of a cut group but the last says that more follows', () => {
    const state = new StateLog();
    const writer = new StateWriter({ ...options, port: state, groupBytesMax: 150 });
    writer.write(point, changes('/a', '/b', '/c'), 'leaf-1');
    const headers = state.read().map(({ header }) => decodeHeader(header!));
    expect(state.batches.map((batch) => batch.length)).toEqual([1, 1, 1]);
    expect(headers.map(({ more }) => more === true)).toEqual([true, true, false]);
    expect(headers.map(({ rpc, seq }) => [rpc, seq])).toEqual([
      [2, 9n],
      [2, 9n],
      [2, 9n],
    ]);
  });

  test('what is healed still says that more follows: where it was the last word on its position, the rest is to come', () => {
    const state = new StateLog();
    const header = { kind: 'data', slot, rpc: 2, epoch: 5n, seq: 9n, receivedAtNs, more: true } as const;
    new StateWriter({ ...options, port: state }).heal([{ key: Buffer.from('k'), value: null, header }]);
    expect(decodeHeader(state.read()[0]!.header!).more).toBe(true);
  });

  test('nothing changed, nothing written', () => {
    const state = new StateLog();
    new StateWriter({ ...options, port: state }).write(point, [], 'leaf-1');
    expect(state.batches).toEqual([]);
  });

  test('the slot marker says how far, how late and by whom', () => {
    const state = new StateLog();
    const writer = new StateWriter({ ...options, port: state });
    writer.mark(null, { reason: 'crash', lagMs: unknownLagMs, nowNs: receivedAtNs });
    writer.mark({ slot, epoch: 5n, seq: 9n }, { reason: '', lagMs: 12, nowNs: receivedAtNs });
    const [first, second] = state.read();
    expect(first?.key?.toString()).toBe('|slot');
    expect(decodeHeader(first!.header!)).toMatchObject({ kind: 'owner', epoch: 0n, seq: 0n });
    expect(decodeHeader(second!.header!)).toMatchObject({ kind: 'owner', epoch: 5n, seq: 9n });
    expect(markerCodec.decode(decodeFrame(first!.value!).message)).toMatchObject({
      kind: 'owner',
      reason: 'crash',
      instance: 'replicator-1',
      incarnation: 'one',
      lagMs: 86_400_000,
    });
    expect(markerCodec.decode(decodeFrame(second!.value!).message).lagMs).toBe(12);
  });

  test('W3 room is waited for while too much is on its way', async () => {
    const { port, ack } = heldPort();
    const writer = new StateWriter({ ...options, port });
    writer.write(point, changes('/a'), 'leaf-1');
    expect(writer.isFull).toBe(false);
    writer.write(point, changes('/a'), 'leaf-1');
    expect(writer.isFull).toBe(true);
    let hasRoom = false;
    const waiting = writer.room(new AbortController().signal).then(() => (hasRoom = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect(hasRoom).toBe(false);
    await ack(0);
    await waiting;
    expect(hasRoom).toBe(true);
  });

  test('waiting for room ends with the slot, or when asked to', async () => {
    const { port, acks } = heldPort();
    const writer = new StateWriter({ ...options, port });
    writer.write(point, changes('/a'), 'leaf-1');
    writer.write(point, changes('/a'), 'leaf-1');
    const abort = new AbortController();
    const asked = writer.room(abort.signal);
    abort.abort(new Error('released'));
    await expect(asked).rejects.toThrow('released');
    const lost = writer.flushed(new AbortController().signal);
    for (const ack of acks) ack.reject(new Error('fenced'));
    await expect(lost).rejects.toThrow('fenced');
  });
});
