import { describe, expect, test } from '@jest/globals';
import fc from '../support/properties.ts';
import {
  type Extension,
  type GnmiError,
  type GnmiNotification,
  type GnmiUpdate,
  getTypes,
  gnmi,
  gnmiEncodings,
  gnmiSubscriptionModes,
  listModes,
  setOperations,
} from '../../schemas/gnmi.ts';
import { type Codec, type Init } from '../../schemas/message-codec.ts';
import { type Path } from '../../schemas/path.ts';
import { encodeTypedValue } from '../../schemas/value.ts';
import { anyBytes, anyPath, anyText, anyTypedValue, int64, uint32, uint64 } from './arbitrary.ts';
import { protoRoot, protoType, throughProtobufjs } from './reflection.ts';

const path: fc.Arbitrary<Path> = fc.tuple(anyPath, anyText).map(([said, target]) => ({ ...said, target }));
const some = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(arbitrary, { maxLength: 2 });

const error: fc.Arbitrary<GnmiError> = fc.record({
  code: uint32,
  message: anyText,
  data: fc.constant(Buffer.alloc(0)),
});
const update: fc.Arbitrary<GnmiUpdate> = fc.record(
  {
    path,
    value: fc.record({ value: anyBytes, type: fc.constantFrom(...gnmiEncodings) }),
    val: anyTypedValue.map(encodeTypedValue),
    duplicates: uint32,
  },
  { requiredKeys: ['duplicates'] },
);
const notification: fc.Arbitrary<GnmiNotification> = fc.record(
  { timestamp: int64, prefix: path, update: some(update), delete: some(path), atomic: fc.boolean() },
  { requiredKeys: ['timestamp', 'update', 'delete', 'atomic'] },
);
const extension: fc.Arbitrary<Extension> = fc.oneof(
  fc.record({ registeredExt: fc.record({ id: uint32.map((id) => id >>> 1), msg: anyBytes }) }),
  fc.record({ history: fc.record({ snapshotTime: int64 }) }),
  fc.record({ history: fc.record({ range: fc.record({ start: int64, end: int64 }) }) }),
  fc.record({ depth: fc.record({ level: uint32 }) }),
  fc.constant({ commit: Buffer.from('0a0161', 'hex') }),
);
const extensions = some(extension);
const models = some(fc.record({ name: anyText, organization: anyText, version: anyText }));
const encoding = fc.constantFrom(...gnmiEncodings);

function check<T>(name: string, codec: Codec<T>, arbitrary: fc.Arbitrary<T>): void {
  fc.assert(
    fc.property(arbitrary, (message) => {
      const bytes = codec.encode(message as Init<T>);
      expect(codec.decode(bytes)).toEqual(message);
      expect(codec.decode(throughProtobufjs(`gnmi.${name}`, bytes))).toEqual(message);
    }),
    { numRuns: 60 },
  );
}

describe('messages come back, also through protobufjs', () => {
  test('Subscribe', () => {
    const subscription = fc.record(
      {
        path,
        mode: fc.constantFrom(...gnmiSubscriptionModes),
        sampleInterval: uint64,
        suppressRedundant: fc.boolean(),
        heartbeatInterval: uint64,
      },
      { requiredKeys: ['mode', 'sampleInterval', 'suppressRedundant', 'heartbeatInterval'] },
    );
    const subscribe = fc.record(
      {
        prefix: path,
        subscription: some(subscription),
        qos: fc.record({ marking: uint32 }),
        mode: fc.constantFrom(...listModes),
        allowAggregation: fc.boolean(),
        useModels: models,
        encoding,
        updatesOnly: fc.boolean(),
      },
      { requiredKeys: ['subscription', 'mode', 'allowAggregation', 'useModels', 'encoding', 'updatesOnly'] },
    );
    check('SubscribeRequest', gnmi.SubscribeRequest, fc.record({ subscribe, extension: extensions }));
    check('SubscribeRequest', gnmi.SubscribeRequest, fc.record({ poll: fc.constant({}), extension: extensions }));
    check('SubscribeResponse', gnmi.SubscribeResponse, fc.record({ update: notification, extension: extensions }));
    check(
      'SubscribeResponse',
      gnmi.SubscribeResponse,
      fc.record({ syncResponse: fc.boolean(), extension: extensions }),
    );
    check('SubscribeResponse', gnmi.SubscribeResponse, fc.record({ error, extension: extensions }));
  });

  test('Capabilities', () => {
    check('CapabilityRequest', gnmi.CapabilityRequest, fc.record({ extension: extensions }));
    const response = fc.record({
      supportedModels: models,
      supportedEncodings: some(encoding),
      gnmiVersion: anyText,
      extension: extensions,
    });
    check('CapabilityResponse', gnmi.CapabilityResponse, response);
  });

  test('Get', () => {
    const request = fc.record(
      {
        prefix: path,
        path: some(path),
        type: fc.constantFrom(...getTypes),
        encoding,
        useModels: models,
        extension: extensions,
      },
      { requiredKeys: ['path', 'type', 'encoding', 'useModels', 'extension'] },
    );
    check('GetRequest', gnmi.GetRequest, request);
    check(
      'GetResponse',
      gnmi.GetResponse,
      fc.record({ notification: some(notification), error, extension: extensions }),
    );
  });

  test('Set', () => {
    const updates = some(update);
    const request = fc.record({
      prefix: path,
      delete: some(path),
      replace: updates,
      update: updates,
      extension: extensions,
      unionReplace: updates,
    });
    check('SetRequest', gnmi.SetRequest, request);
    const result = fc.record({ timestamp: int64, path, message: error, op: fc.constantFrom(...setOperations) });
    const response = fc.record({ response: some(result), timestamp: int64, extension: extensions });
    check('SetResponse', gnmi.SetResponse, response);
  });
});

describe('names', () => {
  const valuesOf = (name: string): string[] => {
    const { values } = protoRoot().lookupEnum(name);
    return Object.keys(values).sort((a, b) => (values[a] ?? 0) - (values[b] ?? 0));
  };

  test('E10: enums have the names and numbers of the .proto file', () => {
    expect(valuesOf('gnmi.Encoding')).toEqual([...gnmiEncodings]);
    expect(valuesOf('gnmi.SubscriptionList.Mode')).toEqual([...listModes]);
    expect(valuesOf('gnmi.SubscriptionMode')).toEqual([...gnmiSubscriptionModes]);
    expect(valuesOf('gnmi.GetRequest.DataType')).toEqual([...getTypes]);
    expect(valuesOf('gnmi.UpdateResult.Operation')).toEqual([...setOperations]);
  });

  test('fields are what the .proto file calls them', () => {
    const encode = (name: string, message: object): Buffer => {
      const type = protoType(name);
      return Buffer.from(type.encode(type.fromObject(message)).finish());
    };
    const request = encode('gnmi.SubscribeRequest', {
      subscribe: {
        prefix: { target: 'leaf-1' },
        subscription: [
          { mode: 'SAMPLE', sampleInterval: '10000000000', suppressRedundant: true, heartbeatInterval: 5 },
        ],
        qos: { marking: 3 },
        mode: 'POLL',
        allowAggregation: true,
        useModels: [{ name: 'm', organization: 'o', version: 'v' }],
        encoding: 'JSON_IETF',
        updatesOnly: true,
      },
    });
    expect(gnmi.SubscribeRequest.decode(request)).toEqual({
      subscribe: {
        prefix: { origin: '', target: 'leaf-1', elems: [] },
        subscription: [
          { mode: 'SAMPLE', sampleInterval: 10_000_000_000n, suppressRedundant: true, heartbeatInterval: 5n },
        ],
        qos: { marking: 3 },
        mode: 'POLL',
        allowAggregation: true,
        useModels: [{ name: 'm', organization: 'o', version: 'v' }],
        encoding: 'JSON_IETF',
        updatesOnly: true,
      },
      extension: [],
    });
    const get = encode('gnmi.GetRequest', {
      type: 'OPERATIONAL',
      encoding: 'PROTO',
      extension: [{ depth: { level: 2 } }],
    });
    expect(gnmi.GetRequest.decode(get)).toEqual({
      path: [],
      type: 'OPERATIONAL',
      encoding: 'PROTO',
      useModels: [],
      extension: [{ depth: { level: 2 } }],
    });
    const capabilities = encode('gnmi.CapabilityResponse', { gNMIVersion: '0.10.0', supportedEncodings: [4, 2] });
    expect(gnmi.CapabilityResponse.decode(capabilities)).toMatchObject({
      gnmiVersion: '0.10.0',
      supportedEncodings: ['JSON_IETF', 'PROTO'],
    });
  });

  test('E4: no encoding is JSON, S9: no modes are STREAM and TARGET_DEFINED', () => {
    const bytes = gnmi.SubscribeRequest.encode({ subscribe: { subscription: [{}] } });
    expect(gnmi.SubscribeRequest.decode(bytes).subscribe).toMatchObject({
      encoding: 'JSON',
      mode: 'STREAM',
      subscription: [{ mode: 'TARGET_DEFINED', sampleInterval: 0n }],
    });
  });
});
