import { expect, test } from '@jest/globals';
import protobuf from 'protobufjs/minimal.js';
import { checkExactIntegers } from '../../schemas/exact-integers.ts';
import { gnmi } from '../../schemas/gnmi.ts';

test('L1: the self-check passes, and its time is one that doubles cannot hold', () => {
  expect(checkExactIntegers).not.toThrow();
  const timestamp = 1_787_000_000_000_000_001n;
  expect(BigInt(Number(timestamp))).not.toBe(timestamp);
  expect(gnmi.SubscribeResponse.encode({ update: { timestamp } }).toString('hex')).toBe('0a0a088180feac83e1ace618');
});

test('L1: it refuses a protobufjs that does not find the package long', () => {
  const { Long } = protobuf.util;
  Object.assign(protobuf.util, { Long: null });
  protobuf.configure();
  try {
    expect(checkExactIntegers).toThrow('64-bit integers are not exact here');
  } finally {
    Object.assign(protobuf.util, { Long });
    protobuf.configure();
  }
  expect(checkExactIntegers).not.toThrow();
});
