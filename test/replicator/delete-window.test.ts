import { DeleteWindow } from '../../replicator/delete-window.ts';
import { parsePath } from '../../schemas/path.ts';

const place = (text: string) => {
  const { origin, elems } = parsePath(text);
  return { origin: origin === '' ? 'openconfig' : origin, elems };
};
const refuses = (window: DeleteWindow, text: string, updateNs: bigint, receivedAtNs = 100n, rpc = 0) =>
  window.refuses(place(text), updateNs, { receivedAtNs, rpc });

function windowOf(...notes: [text: string, deleteNs: bigint, receivedAtNs?: bigint][]): DeleteWindow {
  const window = new DeleteWindow({ windowNs: 50n, entriesMax: 3 });
  for (const [index, [text, deleteNs, receivedAtNs = 100n]] of notes.entries()) {
    window.note(place(text), { deleteNs, receivedAtNs, offset: BigInt(index), rpc: 0 });
  }
  return window;
}

describe('delete window (D7)', () => {
  test.each<[string, [string, bigint, bigint?][], string, bigint, boolean]>([
    ['an older update stays away', [['/a', 10n]], '/a/b', 9n, true],
    ['an update as old is accepted', [['/a', 10n]], '/a/b', 10n, false],
    ['the leaf itself', [['/a/b', 10n]], '/a/b', 9n, true],
    ['beside the deleted path', [['/a', 10n]], '/b', 9n, false],
    ['above the deleted path', [['/a/b', 10n]], '/a', 9n, false],
    ['another origin', [['cli:/a', 10n]], '/a', 9n, false],
    ['omitted keys cover every entry (D9)', [['/a/i', 10n]], '/a/i[k=1]/b', 9n, true],
    ['wildcards (D9)', [['/a/.../b', 10n]], '/a/x/y/b', 9n, true],
    ['the newest time of a path counts', [['/a', 10n], ['/a', 20n]], '/a', 15n, true], // prettier-ignore
    ['a delete that came late changes nothing', [['/a', 20n], ['/a', 10n]], '/a', 15n, true], // prettier-ignore
    ['a newer delete elsewhere is not ours', [['/a', 10n], ['/b', 30n]], '/a', 15n, false], // prettier-ignore
    ['received longer ago than the window', [['/a', 10n, 49n]], '/a', 9n, false],
    ['received as long ago as the window', [['/a', 10n, 50n]], '/a', 9n, true],
  ])('%s', (_rule, notes, text, updateNs, expected) => {
    expect(refuses(windowOf(...notes), text, updateNs)).toBe(expected);
  });

  test('A9 what an atomic message of one RPC implies holds back updates of that RPC alone', () => {
    const window = windowOf();
    window.note(place('/a'), { deleteNs: 10n, receivedAtNs: 100n, offset: 0n, rpc: 1 });
    window.note(place('/a'), { deleteNs: 20n, receivedAtNs: 100n, offset: 0n, rpc: 2 });
    expect([0, 1, 2].map((rpc) => refuses(window, '/a/b', 5n, 100n, rpc))).toEqual([false, true, true]);
    expect([0, 1, 2].map((rpc) => refuses(window, '/a/b', 15n, 100n, rpc))).toEqual([false, false, true]);
  });

  test('beyond its bound the delete said longest ago goes first, and is counted', () => {
    const window = windowOf(['/a', 10n], ['/b', 10n], ['/c', 10n], ['/a', 11n]);
    expect(window.note(place('/d'), { deleteNs: 10n, receivedAtNs: 100n, offset: 9n, rpc: 0 })).toBe(1);
    expect(window.size).toBe(3);
    expect(refuses(window, '/b', 1n)).toBe(false);
    expect(refuses(window, '/a', 10n)).toBe(true);
  });

  test('expiring names the oldest offset that is still needed', () => {
    const window = windowOf(['/a', 10n, 40n], ['/b', 10n, 60n], ['/c', 30n, 70n]);
    expect(window.expire(90n)).toBe(0n);
    expect(window.expire(100n)).toBe(1n);
    expect(window.expire(121n)).toBeNull();
    expect(window.size).toBe(0);
    expect(refuses(window, '/c', 1n)).toBe(false);
  });
});
