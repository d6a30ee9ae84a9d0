import { expect, test } from '@jest/globals';
import { OpenCalls } from '../../query-api/open-calls.ts';

test('calls are bounded in all and for one address, whatever its port; what was refused counts until it is gone', () => {
  const open = new OpenCalls<string>({ what: 'RPCs', max: 3, maxPerClient: 2 });
  expect(open.add('a', '10.0.0.1:5000')).toBeNull();
  expect(open.add('b', '10.0.0.1:5001')).toBeNull();
  expect(open.add('c', '10.0.0.1:5002')).toBe('no more than 2 RPCs at a time from one address');
  expect(open.add('d', '[::1]:5000')).toBe('no more than 3 RPCs at a time');
  for (const gone of ['c', 'c', 'd', 'never there']) open.delete(gone);
  expect(open.all()).toEqual(['a', 'b']);
  expect(open.add('e', '[::1]:5001')).toBeNull();
  open.delete('a');
  expect(open.add('f', '10.0.0.1:5003')).toBeNull();
  expect(open.size).toBe(3);
});
