import { expect, test } from '@jest/globals';
import { planParts } from '../../../cli/dev/dev-plan.ts';

const options = {
  devices: 20,
  ingest: 2,
  replicator: 1,
  queryApi: 2,
  brokers: 1 as const,
  dataDir: '.holdfast',
  rate: 1,
  updates: 20,
  settings: {},
};
const ports = {
  http: [8080, 8081, 18081, 18082, 18083],
  gnmi: [9339, 9340],
  simulatorControl: 18070,
  simulatorBase: 20000,
};

const valueOf = (args: readonly string[], flag: string): string | undefined => args[args.indexOf(flag) + 1];

test('every part gets an id, an address of its own and the brokers', () => {
  const parts = planParts(options, ['127.0.0.1:19092'], ports);
  expect(parts.map((part) => part.instanceId)).toEqual([
    'query-api-1',
    'query-api-2',
    'ingest-1',
    'ingest-2',
    'replicator-1',
    'simulator',
  ]);
  expect(new Set(parts.map((part) => part.http)).size).toBe(parts.length);
  for (const part of parts.filter(({ part: name }) => name !== 'simulator')) {
    expect(valueOf(part.args, '--kafka-brokers')).toBe('127.0.0.1:19092');
    expect(valueOf(part.args, '--instance-id')).toBe(part.instanceId);
    expect(valueOf(part.args, '--replication-factor')).toBe('1');
  }
  expect(parts.filter(({ gnmi }) => gnmi !== undefined).map(({ part }) => part)).toEqual(['query-api', 'query-api']);
});

test('three brokers replicate threefold; no devices, no simulator; settings reach every part', () => {
  const parts = planParts(
    { ...options, devices: 0, brokers: 3, settings: { schemaRegistryUrl: 'http://r' } },
    ['a:1', 'b:2', 'c:3'],
    ports,
  );
  expect(parts.some(({ part }) => part === 'simulator')).toBe(false);
  for (const part of parts) {
    expect(valueOf(part.args, '--replication-factor')).toBe('3');
    expect(valueOf(part.args, '--schema-registry-url')).toBe('http://r');
  }
});

test('everything listens on loopback', () => {
  for (const { args } of planParts(options, ['127.0.0.1:19092'], ports)) {
    for (const flag of ['--http-listen', '--gnmi-listen', '--peer-listen', '--control-listen', '--device-host']) {
      if (args.includes(flag)) expect(valueOf(args, flag)).toMatch(/^127\.0\.0\.1/);
    }
  }
});
