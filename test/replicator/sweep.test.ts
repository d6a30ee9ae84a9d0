import { DeviceLeaves } from '../../replicator/device-leaves.ts';
import { SessionWatch, unseen } from '../../replicator/sweep.ts';
import { emptyMarker } from '../../schemas/marker.ts';
import { path, subscriptions, uint } from './telemetry-log.ts';

function leavesOf(...texts: string[]): DeviceLeaves {
  const leaves = new DeviceLeaves('leaf-1');
  for (const text of texts) {
    const { origin, elems } = path(text);
    leaves.set(leaves.entry(origin === '' ? 'openconfig' : origin, elems), uint(1));
  }
  return leaves;
}

function opened(paths: string[], options: { updatesOnly?: boolean } = {}): SessionWatch {
  const session = new SessionWatch();
  const marker = { ...emptyMarker('opened'), subscriptions: subscriptions(paths, 0, options.updatesOnly) };
  session.opened(marker, { offset: 7n, ordinal: 5 });
  return session;
}

const swept = (leaves: DeviceLeaves, session: SessionWatch) =>
  session
    .synced(0)
    .flatMap((watch) => unseen(leaves, watch))
    .map((entry) => `${entry.origin}:${entry.path}`);

describe('sweep after a resync (T17)', () => {
  test("S1 only below the session's own subscriptions", () => {
    const leaves = leavesOf('/a/b', '/c', 'cli:/a/b');
    expect(swept(leaves, opened(['/a']))).toEqual(['openconfig:/a/b']);
    expect(swept(leaves, opened(['/']))).toEqual(['openconfig:/a/b', 'openconfig:/c']);
    expect(swept(leaves, opened(['cli:/']))).toEqual(['cli:/a/b']);
  });

  test('S1 a subscription that does not parse sweeps nothing', () => {
    expect(swept(leavesOf('/a/b'), opened(['/a[']))).toEqual([]);
  });

  test('S2 never for updates_only (M12)', () => {
    expect(swept(leavesOf('/a/b'), opened(['/a'], { updatesOnly: true }))).toEqual([]);
  });

  test('S3 what was spoken of since the session opened stays', () => {
    const leaves = leavesOf('/a/b', '/a/c', '/a/d');
    leaves.entry('openconfig', path('/a/b').elems).seen = 6;
    leaves.entry('openconfig', path('/a/c').elems).seen = 4;
    expect(swept(leaves, opened(['/a']))).toEqual(['openconfig:/a/c', 'openconfig:/a/d']);
  });

  test('S4 not after a gap in the resync; a gap after it does no harm', () => {
    const holed = opened(['/a']);
    holed.holed();
    expect(swept(leavesOf('/a/b'), holed)).toEqual([]);
    const synced = opened(['/a']);
    const [watch] = synced.synced(0);
    synced.holed();
    expect(watch?.holed).toBe(false);
  });

  test('a resync is over with its first sync (S12), and is needed until then', () => {
    const session = opened(['/a']);
    expect(session.unfinishedFrom()).toBe(7n);
    expect(session.synced(3)).toEqual([]);
    expect(session.synced(0)).toHaveLength(1);
    expect(session.synced(0)).toEqual([]);
    expect(session.unfinishedFrom()).toBeNull();
  });

  test('S5 the synced of a session with several RPCs, which ingest numbers from 1, ends the resync of all of them', () => {
    const session = new SessionWatch();
    const rpcs = [...subscriptions(['/a'], 1), ...subscriptions(['/b'], 2)];
    session.opened({ ...emptyMarker('opened'), subscriptions: rpcs }, { offset: 7n, ordinal: 5 });
    expect(swept(leavesOf('/a/x', '/b/x', '/c'), session)).toEqual(['openconfig:/a/x', 'openconfig:/b/x']);
    expect(session.unfinishedFrom()).toBeNull(); // else the committed offset would stay at `opened` for ever
  });

  test('each RPC syncs for itself; one that is opened later leaves the others alone', () => {
    const session = opened(['/a']);
    const later = { ...emptyMarker('opened'), subscriptions: subscriptions(['/b'], 1) };
    session.synced(0);
    session.opened(later, { offset: 9n, ordinal: 8 });
    expect(session.unfinishedFrom()).toBe(9n);
    expect(session.of(0)?.synced).toBe(true);
  });
});
