import { classifyRpcFailure, classifyTlsFailure, printable } from '../../ingest/rpc-failure.ts';

test.each([
  [16, 'bad password', 'UNAUTHENTICATED', 'slowly'],
  [7, 'denied', 'PERMISSION_DENIED', 'slowly'],
  [3, 'bad path', 'SUBSCRIPTION_REFUSED', 'slowly'],
  [12, 'not implemented', 'SUBSCRIPTION_REFUSED', 'slowly'],
  [12, 'Encoding ASCII is not supported', 'ENCODING_UNSUPPORTED', 'slowly'],
  [3, 'unsupported encoding', 'ENCODING_UNSUPPORTED', 'slowly'],
  [5, 'no such thing', 'SUBSCRIPTION_REFUSED', 'soon'],
  [9, 'not now', 'SUBSCRIPTION_REFUSED', 'soon'],
  [8, 'too many streams', 'SUBSCRIPTION_LIMIT', 'soon'],
  [8, 'Received message larger than max (20000000 vs 16777216)', 'MESSAGE_TOO_LARGE', 'slowly'],
  [8, 'Bandwidth exhausted or memory limit exceeded', 'UNREACHABLE', 'soon'], // T12
  [14, 'Connection dropped', 'UNREACHABLE', 'soon'],
  [4, 'Deadline exceeded', 'UNREACHABLE', 'soon'],
  [13, '', 'UNREACHABLE', 'soon'],
])('T19: gRPC status %i, %j is %s, retried %s', (code, details, expected, retry) => {
  expect(classifyRpcFailure({ code, details })).toMatchObject({ code: expected, retry });
});

test('A11: what a device says in refusing a part of an atomic container reaches the operator', () => {
  const details = 'subscribe to the whole of /system/aaa';
  expect(classifyRpcFailure({ code: 3, details }).detail).toContain(details);
});

test.each([
  ['CERT_HAS_EXPIRED', true, 'TLS_EXPIRED'],
  ['CERT_NOT_YET_VALID', true, 'TLS_EXPIRED'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', true, 'TLS_NAME'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', true, 'TLS_UNTRUSTED'],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', true, 'TLS_UNTRUSTED'],
  ['ECONNRESET', true, 'TLS_PROTOCOL'],
  ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', false, 'TLS_PROTOCOL'],
  ['ECONNRESET', false, undefined],
])('TLS: %s (during the handshake: %s) is %s', (code, duringTls, expected) => {
  expect(classifyTlsFailure({ code, message: 'm', duringTls }, '192.0.2.1:9339')?.code).toBe(expected);
});

test('what a device says is one bounded line without control characters', () => {
  expect(printable('a\u001b[31m\r\nb\u2028c')).toBe('a [31m b c');
  expect(printable('x'.repeat(10_000)).length).toBe(501);
  expect(classifyRpcFailure({ code: 16, details: 'no\nway\u0007' }).detail).not.toMatch(/\p{Cc}/u);
});
