/** A server of `bench/http-get.ts`, as a process of its own: `fast`, `express`, `bare-bytes` or `bare-text`. */
import { createServer, request as httpRequest } from 'node:http';
import { type AddressInfo } from 'node:net';
import { startApi } from '../test/query-api/api-fixture.ts';

const kind = process.argv[2] ?? 'fast';

async function apiPort(fast: boolean): Promise<{ port: number; stop: () => Promise<void> }> {
  const api = await startApi({ fast });
  for (let device = 0; device < 20; device += 1) {
    await api.addDevice(`leaf-${device}`);
    api.setStatus(`leaf-${device}`, 'synced');
    for (let n = 0; n < 64; n += 1) {
      const path = `/interfaces/interface[name=et-0/0/${n}]/state/counters/in-octets`;
      api.addLeaf(`leaf-${device}`, path, { kind: 'uint', value: 9_007_199_254_740_993n + BigInt(n) });
    }
  }
  return { port: api.server.port, stop: () => api.server.stop() };
}

/** What the real one says, once. */
async function recorded(): Promise<{ headers: Record<string, string>; body: Buffer }> {
  const { port, stop } = await apiPort(true);
  const path = `/api/v1/devices/leaf-1/state?path=${encodeURIComponent('/interfaces/interface[name=et-0/0/1]/state/counters/in-octets')}`;
  const answer = await new Promise<{ headers: Record<string, string>; body: Buffer }>((resolve) => {
    httpRequest({ port, path, agent: false, host: '127.0.0.1' }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const headers: Record<string, string> = {};
        const raw = response.rawHeaders;
        for (let n = 0; n < raw.length; n += 2) {
          // Those that every handler gets from Node itself are left out.
          if (!['Date', 'Connection', 'Keep-Alive'].includes(raw[n] ?? '')) headers[raw[n] ?? ''] = raw[n + 1] ?? '';
        }
        resolve({ headers, body: Buffer.concat(chunks) });
      });
    }).end();
  });
  await stop();
  return answer;
}

async function barePort(asText: boolean): Promise<number> {
  const { headers, body } = await recorded();
  const content = asText ? body.toString() : body;
  const server = createServer((_request, response) => {
    response.writeHead(200, headers);
    response.end(content);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

const port = kind.startsWith('bare') ? await barePort(kind === 'bare-text') : (await apiPort(kind === 'fast')).port;
process.on('message', () => {
  const { user, system } = process.cpuUsage();
  process.send?.({ cpu: user + system });
});
process.send?.(port);
