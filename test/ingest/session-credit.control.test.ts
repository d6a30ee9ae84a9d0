/**
 * Control run: what a process holds while Kafka takes nothing is bounded by credit, and without credit the same load exceeds
 * the bound. A bound that holds either way would prove nothing.
 */
import { Session } from '../../ingest/session.ts';
import { SlotWriter } from '../../ingest/slot-writer.ts';
import { planRpcs } from '../../ingest/subscription-plan.ts';
import { eventually } from '../support/eventually.ts';
import { createIngestBench, deviceRecord } from '../support/ingest-bench.ts';
import { RecordedLog, recordedContext } from '../support/recorded-log.ts';
import { ScriptedDevice, updateMessage } from '../support/scripted-device.ts';

const sessions = 4;
const messageBytes = 20_000;
const messages = 60; // of each device: 4.8 MB in all
const budgetBytes = 1_048_576;
const boundBytes = budgetBytes + sessions * (messageBytes + 200); // and the message in hand of each

/** The most that was unacked while all devices talked and Kafka did not answer. */
async function heldWith(bytesMax: number): Promise<number> {
  const bench = createIngestBench({ maxPauseMs: 60_000 }, bytesMax);
  await bench.start();
  const log = new RecordedLog();
  log.acking = false;
  const devices: ScriptedDevice[] = [];
  const opened: Session[] = [];
  try {
    for (let n = 0; n < sessions; n += 1) {
      const device = await new ScriptedDevice().start();
      devices.push(device);
      const session = new Session(bench.context.session, {
        log: new SlotWriter(0, log, recordedContext()).device(`leaf-${n}`),
        account: bench.budget.account(),
        limits: bench.context.settings,
        dialTarget: () => ({
          device: `leaf-${n}`,
          address: device.address,
          tls: null,
          credentials: null,
          receiveBytesMax: 1_048_576,
          receiveWindowBytes: 65_535,
        }),
        planRpcs: (offer) => planRpcs(deviceRecord(`leaf-${n}`), [], offer),
        observer: {
          onOffer: () => undefined,
          onDialled: () => undefined,
          onConnected: () => undefined,
          onSynced: () => undefined,
          onGap: () => undefined,
          onOddity: () => undefined,
        },
      });
      opened.push(session);
      session.start();
      const stream = await device.stream(0);
      for (let at = 1; at <= messages; at += 1) stream.send(updateMessage(at, BigInt(at), messageBytes));
    }
    let before = -1;
    await eventually('nothing more is read', 10_000, async () => {
      const settled = log.unackedBytes === before && before > 0;
      before = log.unackedBytes;
      await new Promise((resolve) => setTimeout(resolve, 150));
      return settled;
    });
    return log.unackedBytes;
  } finally {
    for (const session of opened) session.drop();
    for (const device of devices) device.stop();
    await bench.stop();
  }
}

test('with credit what is held stays within the budget', async () => {
  expect(await heldWith(budgetBytes)).toBeLessThan(boundBytes);
}, 30_000);

test('control: without credit it does not', async () => {
  expect(await heldWith(Number.MAX_SAFE_INTEGER)).toBeGreaterThan(boundBytes);
}, 30_000);
