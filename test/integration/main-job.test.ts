/**
 * The main job on real parts: Kafka, simulated devices on sockets, every part a process of its own. Sizes are short by
 * default; TEST_LONG=1 runs the full ones that docs/performance.md quotes (`npm run test:soak`).
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { systemClock } from '../../core/clock.ts';
import { eventually } from '../support/eventually.ts';
import { testKafka } from '../support/kafka.ts';
import { Stack } from '../support/stack.ts';
import { stateEqualsTruth } from '../support/state-audit.ts';
import { type SeenRecord, TelemetryAudit } from '../support/telemetry-audit.ts';

const long = process.env['TEST_LONG'] === '1';
const devices = long ? 100 : 40;
const rate = 10;
const updates = 20;
const windowMs = long ? 60_000 : 8_000;
const slots = 8;

/** The last owner marker of every slot that has one. */
function newestOwners(markers: readonly SeenRecord[]): SeenRecord[] {
  const newest = new Map<number, SeenRecord>();
  for (const marker of markers) if (marker.header.kind === 'owner') newest.set(marker.partition, marker);
  return [...newest.values()];
}

function isOpened(markers: readonly SeenRecord[], { partition, header }: SeenRecord): boolean {
  return markers.some(
    (marker) =>
      marker.partition === partition && marker.header.epoch === header.epoch && marker.header.kind === 'opened',
  );
}

describe('the main job', () => {
  const kafka = testKafka();
  const stack = new Stack({ kafka, devices, rate, updates, ingest: 2, queryApi: 2, slots });
  const audit = new TelemetryAudit(kafka, slots);

  beforeAll(async () => {
    await stack.start();
    await stack.planRests(11_000); // what was left to balance is looked at again after 10 s
    await audit.start();
  }, 120_000);

  afterAll(async () => {
    await audit.stop();
    await stack.stop();
  }, 60_000);

  test(
    'nothing is missing, repeated or out of order in telemetry while the fleet talks',
    async () => {
      await audit.readToEnd();
      audit.beginWindow();
      await systemClock.sleep(windowMs);
      await audit.readToEnd();
      const totals = audit.totals();
      process.stdout.write(
        `main job: ${devices} devices × ${rate}/s × ${updates} updates, ${windowMs / 1000} s: ${totals.records} records, ` +
          `${totals.missing} missing, ${totals.repeated} repeated, ${totals.outOfOrder} out of order\n`,
      );
      expect(audit.holes).toEqual([]);
      expect(audit.markers).toEqual([]); // no session ended or began meanwhile
      expect(audit.devices.size).toBe(devices);
      // The fleet shares two cores with everything else: nine tenths of its nominal rate is asked for, all of what it sent must be there.
      expect(totals.records).toBeGreaterThan(devices * rate * (windowMs / 1000) * 0.9);
      expect(totals).toMatchObject({ missing: 0n, repeated: 0, outOfOrder: 0 });
      expect(audit).toMatchObject({ lowerEpochs: 0, seqHoles: 0 });
    },
    windowMs + 60_000,
  );

  test('every leaf in state equals the simulator when the fleet pauses', async () => {
    await stack.simulatorCall('POST', '/pause');
    try {
      for (const instance of ['query-api-1', 'query-api-2']) {
        const compared = await stateEqualsTruth(stack, instance, 30_000);
        expect(compared.devices).toBe(devices);
        expect(compared.leaves).toBeGreaterThan(devices * updates);
      }
    } finally {
      await stack.simulatorCall('POST', '/resume');
    }
  }, 60_000);

  test('kill -9 of an ingest process: the other takes its slots, epochs grow, the sequences go on', async () => {
    await audit.readToEnd();
    audit.beginWindow();
    await stack.process('ingest-1').kill();
    await eventually('ingest-2 holds every slot', 30_000, async () => {
      const { slots: found } = await stack.ownership();
      return found.length === slots && found.every(({ owner, state }) => owner === 'ingest-2' && state === 'held');
    });
    await stack.synced(devices);
    // The newest owner of every slot that changed hands has opened its sessions; an earlier one may have lost it before.
    const taken = await eventually('every taken slot has sessions of its newest epoch', 10_000, async () => {
      await audit.readToEnd();
      const newest = newestOwners(audit.markers);
      return newest.length > 0 && newest.every((owner) => isOpened(audit.markers, owner)) ? newest : undefined;
    });
    expect(taken.length).toBeGreaterThan(0);
    for (const { header } of audit.markers.filter((marker) => marker.header.kind === 'owner'))
      expect(header.seq).toBe(1n); // the owner marker is the first record of its epoch
    audit.beginWindow();
    await systemClock.sleep(2_000);
    await audit.readToEnd();
    expect(audit).toMatchObject({ lowerEpochs: 0, seqHoles: 0 });
    expect(audit.totals()).toMatchObject({ missing: 0n, repeated: 0, outOfOrder: 0 });
    await stack.startPart('ingest', 'ingest-1');
  }, 90_000);

  test('a killed replicator goes on where its output ends', async () => {
    await stack.process('replicator-1').kill();
    await systemClock.sleep(1_000);
    await stack.startPart('replicator', 'replicator-1');
    await stack.simulatorCall('POST', '/pause');
    try {
      await stateEqualsTruth(stack, 'query-api-1', 40_000);
    } finally {
      await stack.simulatorCall('POST', '/resume');
    }
  }, 90_000);

  test('a removed device: its session closes, its leaves go, GET says 404 with a reason', async () => {
    const { devices: listed } = (await stack.api().call('GET', '/api/v1/devices?limit=1')) as {
      devices: { name: string }[];
    };
    const name = listed[0]?.name ?? '';
    await stack.api().call('DELETE', `/api/v1/devices/${name}`);
    const answer = await fetch(`${stack.api().base}/api/v1/devices/${name}/state?path=/`);
    expect(answer.status).toBe(404);
    expect(await answer.json()).toMatchObject({ code: 'DEVICE_UNKNOWN' });
    await eventually('the session is closed and nothing of the device is left', 20_000, async () => {
      const data = (await stack.api().call('GET', '/api/v1/state?path=/simulator/state/sequence&limit=10000')) as {
        leaves: { device: string }[];
      };
      return !data.leaves.some((leaf) => leaf.device === name);
    });
  }, 60_000);
});
