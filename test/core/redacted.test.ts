import { expect, test } from '@jest/globals';
import { inspect } from 'node:util';
import { Redacted } from '../../core/redacted.ts';

test('a secret shows itself to `reveal` only', () => {
  const secret = new Redacted('hunter2');
  expect([String(secret), JSON.stringify({ secret }), inspect(secret), secret.toString()].join()).not.toContain(
    'hunter2',
  );
  expect(secret.reveal()).toBe('hunter2');
});
