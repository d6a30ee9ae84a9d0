import { expect, test } from '@jest/globals';
import { HoldfastError } from '../../core/errors.ts';
import { formatProblem, problemOf } from '../../query-api/problem.ts';
import { decodeCursor } from '../../schemas/cursor.ts';
import { parsePath } from '../../schemas/path.ts';

const thrownBy = (work: () => unknown): unknown => {
  try {
    return work();
  } catch (thrown) {
    return thrown;
  }
};

test.each<[string, unknown, number, string]>([
  ['a code of ours', new HoldfastError('PROFILE_IN_USE', 'used'), 409, 'PROFILE_IN_USE'],
  ['a Kafka that is away', new HoldfastError('KAFKA_UNREACHABLE', 'away'), 503, 'KAFKA_UNAVAILABLE'],
  ['a code that is no answer', new HoldfastError('FENCED', 'x'), 500, 'INTERNAL'],
  ['a path', thrownBy(() => parsePath('/a[')), 400, 'PATH_MALFORMED'],
  ['a cursor', thrownBy(() => decodeCursor('x')), 400, 'CURSOR_MALFORMED'],
  ['a body too large', Object.assign(new Error('x'), { type: 'entity.too.large', status: 413 }), 413, 'BODY_TOO_LARGE'],
  ['a body that is cut off', Object.assign(new Error('x'), { type: 'request.aborted' }), 400, 'BODY_INVALID'],
  [
    'a type named like a property of every object',
    Object.assign(new Error('x'), { type: 'toString' }),
    400,
    'BODY_INVALID',
  ],
  ['a URL', new URIError('x'), 400, 'PARAMETER_INVALID'],
  ['a surprise', new TypeError('secret path /home/x'), 500, 'INTERNAL'],
  ['no error at all', undefined, 500, 'INTERNAL'],
])('%s', (_name, thrown, status, code) => {
  const problem = problemOf(thrown);
  expect([problem.status, problem.code, problem.unexpected]).toEqual([status, code, status === 500]);
  expect(formatProblem(problem)).not.toContain('secret');
});

test('facts are members of the document and do not overwrite the standard ones', () => {
  const facts = { status: 'mine', problems: ['a', 'b'], epoch: 2n ** 60n };
  expect(JSON.parse(formatProblem(problemOf(new HoldfastError('BODY_INVALID', 'two things', { facts }))))).toEqual({
    type: 'about:blank',
    title: 'body is invalid',
    status: 400,
    detail: 'two things',
    code: 'BODY_INVALID',
    problems: ['a', 'b'],
    epoch: '1152921504606846976',
  });
});
