/** TLS and credentials, towards devices. */
import { expect } from '@jest/globals';
import { eventually } from '../support/eventually.ts';
import { listen, tlsUpTo } from './bad-listener.ts';
import { type Scenario } from './scenario.ts';
import { type ConformanceStage } from './stage.ts';
import { type StagedDevice } from './staged-device.ts';

/** A device with TLS, and a record that trusts its authority. */
async function secure(
  stage: ConformanceStage,
  options: { readonly clientCa?: boolean; readonly tls?: object; readonly record?: object } = {},
): Promise<StagedDevice> {
  const { authority, server } = await stage.certificates();
  const device = await stage.prepared({
    tls: { ...server, ...(options.clientCa === true ? { clientCa: authority.cert } : {}) },
  });
  const ca = await stage.secret(`${device.name}-ca.pem`, authority.cert);
  await device.put({ tls: { ca, ...options.tls }, ...options.record });
  return device;
}

async function collects(device: StagedDevice): Promise<void> {
  (await device.stream()).sync();
  device.send({ t: 1, set: { '/a': 1 } });
  expect(await device.state()).toEqual({ '/a': '1' });
}

export const clientSecurity: readonly Scenario[] = [
  {
    id: 'client/tls',
    title: 'TLS with the device’s CA: the device is verified and collected',
    rules: 'T1 T3',
    run: async (stage) => collects(await secure(stage)),
  },
  {
    id: 'client/tls-untrusted',
    title: 'a certificate of an unknown CA is refused by name, and nothing is tried in plaintext',
    rules: 'T1 T3',
    run: async (stage) => {
      const { untrustedServer } = await stage.certificates();
      const device = await stage.prepared({ tls: untrustedServer });
      const { authority } = await stage.certificates();
      await device.put({ tls: { ca: await stage.secret(`${device.name}-ca.pem`, authority.cert) } });
      expect((await device.failsWith('TLS_UNTRUSTED')).detail).toMatch(/set tls\.ca/);
      expect(device.scripted.metadata).toEqual([]);
    },
  },
  {
    id: 'client/tls-to-plaintext',
    title: 'a device that speaks no TLS where TLS is configured is refused, never collected in plaintext',
    rules: 'T1',
    run: async (stage) => {
      const { authority } = await stage.certificates();
      const device = await stage.prepared();
      await device.put({ tls: { ca: await stage.secret(`${device.name}-ca.pem`, authority.cert) } });
      expect((await device.failsWith('TLS_PROTOCOL')).detail).toMatch(/plaintext: true/);
      expect(device.scripted.metadata).toEqual([]);
    },
  },
  {
    id: 'client/plaintext-explicit',
    title: 'a record that says neither TLS nor plaintext is refused, so that plaintext is never an accident',
    rules: 'T1',
    run: async (stage) => {
      const { status, text } = await stage.put('/api/v1/devices/neither', {
        addresses: ['127.0.0.1:9'],
        subscriptions: [{ path: '/' }],
      });
      expect(status).toBe(400);
      expect(text).toMatch(/plaintext/);
    },
  },
  {
    id: 'client/tls-version',
    title: 'a device with nothing newer than TLS 1.1 is refused',
    rules: 'T2',
    run: async (stage) => {
      const { authority, server } = await stage.certificates();
      const old = await listen(stage, tlsUpTo('TLSv1.1', server));
      const device = await stage.prepared();
      const ca = await stage.secret(`${device.name}-ca.pem`, authority.cert);
      await device.put({ addresses: [old.address], tls: { ca } });
      expect((await device.failsWith('TLS_PROTOCOL')).detail).toMatch(/no TLS 1\.2 or later/);
    },
  },
  {
    id: 'client/tls-name',
    title: 'a certificate for another name is refused, and accepted under the name that the record gives',
    rules: 'T3',
    run: async (stage) => {
      const { authority, misnamedServer } = await stage.certificates();
      const device = await stage.prepared({ tls: misnamedServer });
      const ca = await stage.secret(`${device.name}-ca.pem`, authority.cert);
      await device.put({ tls: { ca } });
      await device.failsWith('TLS_NAME');
      await device.put({ tls: { ca, serverName: 'elsewhere.example' } });
      await collects(device);
    },
  },
  {
    id: 'client/tls-mutual',
    title: 'a device that asks for a client certificate gets ours',
    rules: 'T3',
    run: async (stage) => {
      const { client } = await stage.certificates();
      const [cert, key] = [await stage.secret('client.pem', client.cert), await stage.secret('client.key', client.key)];
      await collects(await secure(stage, { clientCa: true, tls: { cert, key } }));
    },
  },
  {
    id: 'client/tls-mutual-missing',
    title: 'without one the device refuses us, and its status says that TLS was refused',
    rules: 'T3',
    run: async (stage) => {
      const device = await secure(stage, { clientCa: true });
      expect((await device.failsWith('TLS_PROTOCOL')).detail).toMatch(/accepts our certificate/);
    },
  },
  {
    id: 'client/tls-rotation',
    title: 'a CA file that is replaced counts from the next connection on, without a restart',
    rules: 'T4',
    run: async (stage) => {
      const { authority, untrustedServer, server } = await stage.certificates();
      const device = await stage.prepared({ tls: server });
      const name = `${device.name}-ca.pem`;
      const ca = await stage.secret(name, untrustedServer.cert);
      await device.put({ tls: { ca } });
      await device.failsWith('TLS_UNTRUSTED');
      await stage.secret(name, authority.cert);
      await collects(device);
    },
  },
  {
    id: 'client/credentials-each-rpc',
    title: 'user name and password go as metadata with every RPC, the second session’s too',
    rules: 'T5',
    run: async (stage) => {
      const password = await stage.secret('rpc-password', 'open sesame\n');
      const device = await stage.device({ credentials: { username: 'telemetry', password } });
      await device.stream();
      await device.resubscribe();
      const sent = device.scripted.metadata.map((one) => [...one.get('username'), ...one.get('password')].join(' '));
      expect(sent.length).toBeGreaterThanOrEqual(4); // Capabilities and Subscribe, twice
      expect(new Set(sent)).toEqual(new Set(['telemetry open sesame']));
    },
  },
  {
    id: 'client/credentials-none',
    title: 'without credentials no metadata of that name is sent',
    rules: 'T5 T9',
    run: async (stage) => {
      const device = await stage.device();
      await device.stream();
      expect(device.scripted.metadata.length).toBeGreaterThanOrEqual(2);
      expect(device.scripted.metadata.flatMap((one) => [...one.get('username'), ...one.get('password')])).toEqual([]);
    },
  },
  {
    id: 'client/credentials-rotation',
    title: 'a refused password is tried again slowly, and a new one in its file is read by itself',
    rules: 'T4 T19',
    run: async (stage) => {
      const password = await stage.secret('rotated-password', 'old');
      const refuse = { code: 16, details: 'bad password' };
      const device = await stage.device({ credentials: { username: 'telemetry', password } }, { refuse });
      expect((await device.failsWith('UNAUTHENTICATED')).detail).toMatch(/bad password/);
      await stage.secret('rotated-password', 'new');
      await eventually('the new password', 20_000, () =>
        device.scripted.metadata.some((one) => one.get('password')[0] === 'new'),
      );
      device.scripted.options = {};
      await collects(device);
    },
  },
  {
    id: 'client/credentials-half',
    title: 'a user name without password is a configuration error, not a silent anonymous call',
    rules: 'T9',
    run: async (stage) => {
      const device = await stage.prepared();
      const { status, text } = await device.offer({ credentials: { username: 'telemetry' } });
      expect(status).toBe(400);
      expect(text).toMatch(/credentials\.password/);
    },
  },
  {
    id: 'client/credentials-unsendable',
    title: 'a password that gRPC cannot send is an error of that device that names the place and not the password',
    rules: 'T10 L9',
    run: async (stage) => {
      const password = await stage.secret('unsendable', 'abracadabra\nsimsalabim');
      const device = await stage.device({ credentials: { username: 'telemetry', password } });
      const { detail } = await device.failsWith('CREDENTIALS_INVALID');
      expect(detail).toMatch(/line end at character 12/);
      expect(detail).not.toMatch(/abracadabra|simsalabim/);
      expect(stage.stack.process('ingest-1').output).not.toMatch(/abracadabra|simsalabim/);
      expect(device.scripted.metadata).toEqual([]);
    },
  },
];
