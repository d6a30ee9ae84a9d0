import { afterEach, describe, expect, test } from '@jest/globals';
import { AdminServer, type Readiness, warnUnauthenticated } from '../../core/admin-server.ts';
import { createLogger, silentLogger } from '../../core/logger.ts';
import { createMetrics } from '../../core/metrics.ts';

describe('admin server', () => {
  let server: AdminServer | undefined;
  afterEach(() => server?.stop());

  const start = async (readiness: () => Readiness): Promise<string> => {
    server = new AdminServer({
      listen: '127.0.0.1:0',
      advertisedHost: '127.0.0.1',
      metrics: createMetrics(),
      readiness,
      logger: silentLogger,
    });
    await server.start();
    return `http://${server.address}`;
  };

  test('/readyz is 503 with the reasons until they are gone; /healthz does not care', async () => {
    let reasons = ['kafka does not answer'];
    const base = await start(() => ({ ready: reasons.length === 0, reasons }));
    const waiting = await fetch(`${base}/readyz`);
    expect([waiting.status, await waiting.json()]).toMatchObject([
      503,
      { data: { reasons: ['kafka does not answer'] } },
    ]);
    expect((await fetch(`${base}/healthz`)).status).toBe(200);
    reasons = [];
    expect((await fetch(`${base}/readyz`)).status).toBe(200);
  });

  test('/metrics is the Prometheus text, anything else says what there is', async () => {
    const base = await start(() => ({ ready: true, reasons: [] }));
    expect((await fetch(`${base}/metrics`)).headers.get('content-type')).toContain('text/plain');
    const unknown = await fetch(`${base}/nope`);
    expect([unknown.status, await unknown.json()]).toMatchObject([404, { code: 'ROUTE_UNKNOWN' }]);
  });

  test('a stop before the start, and a second one, do nothing', async () => {
    await start(() => ({ ready: true, reasons: [] }));
    await server?.stop();
    await server?.stop();
  });
});

test('a listener beyond loopback says that nobody is asked who they are', () => {
  const lines: string[] = [];
  const logger = createLogger({
    level: 'info',
    format: 'json',
    destination: { write: (line) => void lines.push(line) },
  });
  warnUnauthenticated(logger, ':8080');
  expect(JSON.parse(lines[0] ?? '{}')).toMatchObject({
    level: 'warn',
    address: ':8080',
    msg: expect.stringContaining('no authentication'),
  });
});
