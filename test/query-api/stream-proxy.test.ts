import { afterEach, expect, test } from '@jest/globals';
import { request as httpRequest } from 'node:http';
import { eventually } from '../support/eventually.ts';
import { type Api } from './api-fixture.ts';
import { httpPeer, rawPeer } from './bad-peer.ts';
import { bad, countingLender, outcomesOf, startEntry, startHolder, stopAll } from './divert-fixture.ts';

afterEach(stopAll);

/** Reads a stream until `enough` of it has come. */
async function readStream(
  api: Api,
  asked: string,
  enough: (text: string) => boolean,
): Promise<{ headers: Headers; text: string }> {
  const gone = new AbortController();
  const response = await fetch(`http://${api.server.address}${asked}`, { signal: gone.signal });
  let text = '';
  const decoder = new TextDecoder();
  for await (const bytes of response.body as unknown as AsyncIterable<Uint8Array>) {
    text += decoder.decode(bytes, { stream: true });
    if (enough(text)) break;
  }
  gone.abort();
  return { headers: response.headers, text };
}
const streamPath = '/api/v1/state/stream?device=leaf-1&path=/a';

test('SP2: a stream of slots that are held elsewhere is passed on, to its changes; a bad peer is passed over', async () => {
  const silent = await bad(rawPeer(() => undefined));
  const holder = await startHolder('query-2');
  const entry = await startEntry([
    ['silent', silent.http],
    ['query-2', holder.server.address],
  ]);
  const { headers, text } = await readStream(entry, streamPath, (so) => so.includes('event: synced'));
  expect(headers.get('content-type')).toContain('text/event-stream');
  expect([headers.get('holdfast-served-by'), headers.get('holdfast-divert')]).toEqual(['query-2', 'forwarded: absent']);
  expect(text).toContain('"path":"/a"');
  expect(await outcomesOf(entry)).toEqual(['absent retried 1']);
});

test('SP2: when the client of a stream goes, the question to the peer ends, and the other way round', async () => {
  let closed = 0;
  let end = (): void => undefined;
  const peer = await bad(
    httpPeer((request, response) => {
      request.socket.on('close', () => (closed += 1));
      response.writeHead(200, {
        'Content-Type': 'text/event-stream',
        'Holdfast-Served-By': 'peer',
        'Holdfast-Age-Ms': '3',
      });
      response.write('event: heartbeat\ndata: {}\n\n');
      end = () => request.socket.destroy();
    }),
  );
  const entry = await startEntry([['peer', peer.http]]);
  await readStream(entry, streamPath, (so) => so.includes('heartbeat'));
  await eventually('the socket to the peer is closed', 1_000, () => closed === 1);
  const whole = readStream(entry, streamPath, () => false);
  await eventually('asked again', 1_000, () => peer.asked() === 2);
  end();
  expect((await whole.catch(() => ({ text: 'cut off' }))).text).toMatch(/heartbeat|cut off/);
});

test('SP1: a client that does not read keeps the proxy from reading', async () => {
  let written = 0;
  const chunk = `data: ${'x'.repeat(65_536)}\n\n`;
  const peer = await bad(
    httpPeer((_, response) => {
      response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Holdfast-Served-By': 'peer' });
      const more = (): void => {
        if (written > 256_000_000) return;
        written += chunk.length;
        if (response.write(chunk)) setImmediate(more);
        else response.once('drain', more);
      };
      more();
    }),
  );
  const entry = await startEntry([['peer', peer.http]]);
  const { hostname, port } = new URL(`http://${entry.server.address}`);
  const asked = httpRequest({ hostname, port, path: streamPath }, (response) => response.pause());
  asked.on('error', () => undefined).end();
  let before = -1;
  await eventually('nothing more is taken from the peer', 4_000, async () => {
    const still = written > 0 && written === before;
    before = written;
    await new Promise((resolve) => setTimeout(resolve, 200));
    return still;
  });
  expect(written).toBeLessThan(32_000_000); // what sockets and streams on the way hold, not the 256 MB offered
  asked.destroy();
});

test('a stream of slots that nobody offers is answered from borrowed ones, given back when its client has gone', async () => {
  const { lender, freshness, counted } = countingLender();
  const entry = await startEntry([], { lender, freshness });
  const { text } = await readStream(entry, streamPath, (so) => {
    if (so.includes('event: synced')) expect(counted.released).toBe(0);
    return so.includes('event: synced');
  });
  expect(text).toContain('synced');
  await eventually('given back', 1_000, () => counted.released === 1);
});
