import { expect, test } from '@jest/globals';
import { gnmiEncodings, gnmiSubscriptionModes } from '../../schemas/gnmi.ts';
import { encodingNames, subscriptionModes } from '../../schemas/subscription.ts';

test('modes have the numbers gNMI gives them', () => {
  const asGnmi = subscriptionModes.map((mode) => mode.toUpperCase().replace('-', '_'));
  expect(asGnmi).toEqual([...gnmiSubscriptionModes]);
});

test('every gNMI encoding has a name for device records', () => {
  expect([...encodingNames].map((name) => name.toUpperCase()).sort()).toEqual([...gnmiEncodings].sort());
});
