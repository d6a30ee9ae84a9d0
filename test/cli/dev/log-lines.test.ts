import { expect, test } from '@jest/globals';
import { formatLogLine } from '../../../cli/dev/log-lines.ts';

test.each([
  ['{"level":"info","time":"t","msg":"slots acquired","count":8}', null],
  [
    '{"level":"warn","time":"t","msg":"session ended","device":"leaf-1","code":"UNREACHABLE"}',
    'ingest-1 | warn session ended device=leaf-1 code=UNREACHABLE',
  ],
  ['{"level":"error","time":"t","msg":"fenced","slot":3,"instance":"ingest-1"}', 'ingest-1 | error fenced slot=3'],
  ['Error: something the runtime printed', 'ingest-1 | Error: something the runtime printed'],
  ['   ', null],
  ['{"level":"warn","msg":"topics have too few replicas to survive the loss of a broker"}', null],
])('%s', (line, shown) => {
  expect(formatLogLine('ingest-1', line)).toBe(shown);
});
