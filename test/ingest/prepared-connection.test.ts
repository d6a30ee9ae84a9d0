import { PreparedConnection } from '../../ingest/prepared-connection.ts';
import { type CapabilitiesAnswer, type DeviceConnection } from '../../ingest/transport.ts';

test('the first answer is the one it was prepared with, the next is the device’s; everything else is passed on', async () => {
  const calls: string[] = [];
  const call = { pause: () => undefined, resume: () => undefined };
  const note = (what: string): void => void calls.push(what);
  const below: DeviceConnection = {
    isPrepared: false,
    capabilities: () => {
      note('capabilities');
      return Promise.resolve({ kind: 'unimplemented' });
    },
    subscribe: (request) => {
      note(`subscribe ${request.toString()}`);
      return call;
    },
    onLost: () => note('onLost'),
    close: () => {
      note('close');
      return Promise.resolve();
    },
    destroy: () => note('destroy'),
  };
  const answer: CapabilitiesAnswer = { kind: 'answered', bytes: Buffer.from('then') };
  const connection = new PreparedConnection(below, answer);
  expect(connection.isPrepared).toBe(true);
  expect(await connection.capabilities()).toBe(answer);
  expect(calls).toEqual([]);
  expect(await connection.capabilities()).toEqual({ kind: 'unimplemented' });
  const listener = { onMessage: () => undefined, onEnded: () => undefined };
  expect(connection.subscribe(Buffer.from('r'), listener)).toBe(call);
  connection.onLost(() => undefined);
  await connection.close();
  connection.destroy();
  expect(calls).toEqual(['capabilities', 'subscribe r', 'onLost', 'close', 'destroy']);
});
