/** gRPC reflection over a real socket: what it says of gNMI reads what the server sends. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { Client, type ClientDuplexStream, credentials, type handleBidiStreamingCall, status } from '@grpc/grpc-js';
import protobuf from 'protobufjs';
import 'protobufjs/ext/descriptor/index.js';
import { GnmiReflection } from '../../query-api/gnmi-reflection.ts';
import { gnmi } from '../../schemas/gnmi.ts';
import { path } from '../simulator/subscriber.ts';
import { type GnmiFixture, startGnmi } from './gnmi-fixture.ts';

/** The part of grpc/reflection/v1/reflection.proto that is asked here. */
const { root } = protobuf.parse(`
  syntax = "proto3";
  message Request { oneof asked { string file_containing_symbol = 4; string list_services = 7; } }
  message Response { Files files = 4; Services services = 6; Failure failure = 7; }
  message Files { repeated bytes file = 1; }
  message Services { repeated Service service = 1; }
  message Service { string name = 1; }
  message Failure { int32 code = 1; string message = 2; }
`);
const Request = root.lookupType('Request');
const Response = root.lookupType('Response');
/** On the wire a google.protobuf.FileDescriptorSet. */
const Files = root.lookupType('Files');
interface Answer {
  readonly files?: { readonly file: readonly Uint8Array[] };
  readonly services?: { readonly service: readonly { readonly name: string }[] };
  readonly failure?: { readonly code: number };
}
interface Described {
  fromDescriptor(fileDescriptorSet: Uint8Array): protobuf.Root;
}
const Described = protobuf.Root as unknown as Described;

let fixture: GnmiFixture;
let client: Client;
beforeEach(async () => {
  fixture = await startGnmi();
  client = new Client(fixture.server.address, credentials.createInsecure());
});
afterEach(async () => {
  client.close();
  await fixture.stop();
});

type Call = ClientDuplexStream<object, Answer>;
const begin = (version: string): Call =>
  client.makeBidiStreamRequest<object, Answer>(
    `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
    (asked) => Buffer.from(Request.encode(asked).finish()),
    (bytes) => Response.toObject(Response.decode(bytes)),
  );
const answerOf = (call: Call, request: object): Promise<Answer> =>
  new Promise((resolve, reject) => {
    call.once('data', resolve);
    call.once('error', reject);
    call.write(request);
  });
const ask = (version: string, request: object): Promise<Answer> => {
  const call = begin(version);
  const answer = answerOf(call, request);
  call.end();
  return answer;
};

test.each(['v1', 'v1alpha'])(
  'T21: %s names the service, and describes it with all that it imports',
  async (version) => {
    const { services } = await ask(version, { listServices: '' });
    expect(services?.service.map(({ name }) => name)).toEqual(['gnmi.gNMI']);
    const { files } = await ask(version, { fileContainingSymbol: 'gnmi.gNMI' });
    const described = Described.fromDescriptor(Files.encode(files!).finish());
    const rpcs = described.lookupService('gnmi.gNMI').methodsArray;
    expect(rpcs.map(({ name }) => name)).toEqual(['Capabilities', 'Get', 'Set', 'Subscribe']);
    expect(rpcs.find(({ name }) => name === 'Subscribe')).toMatchObject({ requestStream: true, responseStream: true });
    const said = {
      update: { timestamp: 5n, prefix: path('/a'), update: [{ path: path('/b[k=v]/c'), duplicates: 3 }] },
    };
    const entries = [{ key: 'k', value: 'v' }]; // protobufjs knows a map that it was told of so as its entries only
    const read = described.lookupType('gnmi.SubscribeResponse').decode(gnmi.SubscribeResponse.encode(said)).toJSON();
    expect(read).toMatchObject({
      update: {
        timestamp: '5',
        prefix: { elem: [{ name: 'a' }] },
        update: [{ path: { elem: [{ name: 'b', key: entries }, { name: 'c' }] }, duplicates: 3 }],
      },
    });
    const extended = gnmi.GetRequest.encode({ extension: [{ depth: { level: 7 } }] });
    expect(described.lookupType('gnmi.GetRequest').decode(extended).toJSON()).toMatchObject({
      extension: [{ depth: { level: 7 } }],
    });
  },
);

test('what is not there has its code', async () => {
  expect(await ask('v1', { fileContainingSymbol: 'gnmi.Nothing' })).toMatchObject({ failure: { code: 5 } });
});

test('RF1: a request that is too large for a name ends its RPC; too many RPCs of one client are refused', async () => {
  const large = ask('v1', { fileContainingSymbol: 'x'.repeat(5_000) });
  await expect(large).rejects.toMatchObject({ code: status.INTERNAL });
  const open = Array.from({ length: 16 }, () => begin('v1'));
  await Promise.all(open.map((call) => answerOf(call, { listServices: '' })));
  await expect(ask('v1', { listServices: '' })).rejects.toMatchObject({ code: status.RESOURCE_EXHAUSTED });
  for (const call of open) call.end();
  await Promise.all(open.map((call) => once(call, 'status')));
  expect(await ask('v1', { listServices: '' })).toMatchObject({ services: {} });
});

test('a stop ends them with a status', async () => {
  const call = begin('v1');
  await answerOf(call, { listServices: '' });
  const ended = once(call, 'error');
  await fixture.stop();
  expect(await ended).toMatchObject([{ code: status.UNAVAILABLE }]);
});

test('RF1: who asks and does not read is not read from, and has every answer in the end', async () => {
  let answer: handleBidiStreamingCall<unknown, unknown> | undefined;
  new GnmiReflection().addTo({
    addService: (_definition, handlers) => {
      answer ??= handlers['ServerReflectionInfo'] as handleBidiStreamingCall<unknown, unknown>;
    },
  });
  let asked = 0;
  const taken: (() => void)[] = [];
  let isReading = false;
  const call = new Duplex({
    objectMode: true,
    highWaterMark: 4,
    read() {
      asked += 1;
      this.push(asked <= 1_000 ? { messageRequest: 'listServices', listServices: '' } : null);
    },
    write(_message, _encoding, done) {
      if (isReading) done();
      else taken.push(done);
    },
  });
  const finished = new Promise((resolve) => call.once('finish', resolve));
  (answer as unknown as (of: Duplex) => void)(Object.assign(call, { getPeer: () => '127.0.0.1:1' }));
  await fixture.clock.sleep(100);
  expect(asked).toBeGreaterThan(0);
  expect(asked).toBeLessThan(20);
  isReading = true;
  for (const done of taken) done();
  await finished;
  expect(asked).toBe(1_001);
});
