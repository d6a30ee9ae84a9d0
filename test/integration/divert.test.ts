/**
 * Three query-api processes that hold every slot twice, asked at one of them while the others are killed, stopped and
 * come back: no client sees an error that another instance could have prevented, and no answer is older than asked for.
 *
 * Short by default; `npm run test:divert` runs 500 requests a second for 60 s, which docs/performance.md quotes.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Agent, request as httpRequest } from 'node:http';
import { eventually } from '../support/eventually.ts';
import { hasTestKafka, testKafka } from '../support/kafka.ts';
import { Stack } from '../support/stack.ts';

const long = process.env['TEST_LONG'] === '1';
const devices = 24;
const slots = 12;
/** Notifications a second of each device; every one has the next sequence number. */
const rate = 2;
const requestsPerSecond = Number(process.env['TEST_RATE'] ?? (long ? 500 : 100));
const phaseMs = long ? 15_000 : 3_000;
/** Code that has just started is slow: asked at half the rate, checked as all, not measured. */
const warmUpMs = long ? 20_000 : 3_000;
/** A load grows to its rate: Node accepts one connection a turn, and a turn is long while every socket has work. */
const rampMs = 2_000;
/** Above the second between two markers of a slot, and what a busy machine adds. */
const maxStalenessMs = 4_000;
/** From the device's clock to the log: not part of any staleness that an instance states. */
const collectionMs = 1_500;
const entry = 'query-api-1';

interface Asked {
  readonly device: string;
  readonly atMs: number;
  readonly ms: number;
  readonly status: number;
  readonly divert: string;
  readonly servedBy: string;
  readonly body: string;
  readonly ageMs: number;
  /** Sent nothing, or was cut off. */
  readonly error: string | null;
}

class Load {
  readonly asked: Asked[] = [];
  /** Lets a connection go before the server does, after 5 s without a request: else one may be sent into the closing. */
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64, timeout: 2_000, scheduling: 'lifo' });
  readonly #base: string;
  readonly #perSecond: number;
  #timer: NodeJS.Timeout | undefined;
  #inFlight = 0;
  #sent = 0;

  constructor(base: string, perSecond = requestsPerSecond) {
    this.#base = base;
    this.#perSecond = perSecond;
  }

  /** Open loop: what waits does not keep others from being sent. */
  start(): void {
    const startedMs = performance.now();
    this.#timer = setInterval(() => {
      const sinceMs = performance.now() - startedMs;
      const fullMs = sinceMs < rampMs ? sinceMs ** 2 / (2 * rampMs) : sinceMs - rampMs / 2;
      const due = Math.floor((fullMs * this.#perSecond) / 1000);
      for (; this.#sent < due; this.#sent += 1) void this.#ask(`sim-${(this.#sent % devices) + 1}`);
    }, 5);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await eventually('the last answers', 10_000, () => this.#inFlight === 0);
    this.#agent.destroy();
  }

  async #ask(device: string): Promise<void> {
    this.#inFlight += 1;
    this.asked.push(await ask(this.#base, device, this.#agent));
    this.#inFlight -= 1;
  }
}

function ask(base: string, device: string, agent: Agent | false, timeout = 5_000): Promise<Asked> {
  const url = `${base}/api/v1/devices/${device}/state?path=/simulator/state/sequence&maxStalenessMs=${maxStalenessMs}`;
  const [atMs, startedMs] = [Date.now(), performance.now()];
  const nothing = { device, atMs, status: 0, divert: '', servedBy: '', body: '', ageMs: 0 };
  return new Promise((resolve) => {
    const end = (error: string): void => resolve({ ...nothing, ms: performance.now() - startedMs, error });
    const asked = httpRequest(url, { agent, timeout }, (response) => {
      let body = '';
      const header = (name: string): string => String(response.headers[name] ?? '');
      response.setEncoding('utf8').on('data', (text: string) => (body += text));
      response.on('error', (error) => end(error.message));
      response.on('end', () => {
        const { statusCode: status = 0 } = response;
        const said = { divert: header('holdfast-divert'), servedBy: header('holdfast-served-by') };
        const ageMs = Number(header('holdfast-age-ms'));
        resolve({ ...nothing, ...said, status, body, ageMs, ms: performance.now() - startedMs, error: null });
      });
    });
    asked.on('timeout', () => asked.destroy(new Error('nothing came')));
    asked.on('error', (error) => end(error.message));
    asked.end();
  });
}

interface SequenceLeaf {
  readonly device: string;
  readonly path: string;
  readonly value: string;
  readonly timestamp: string;
}

/** What is wrong with the answers, in words: against the bound, and against each other. */
function wrongOf(asked: readonly Asked[]): string[] {
  const wrong: string[] = [];
  const timeOf = new Map<string, string>();
  for (const { device, body, atMs, ageMs, servedBy } of asked.filter(({ status }) => status === 200)) {
    const { leaves } = (JSON.parse(body) as { data: { leaves: readonly SequenceLeaf[] } }).data;
    const [leaf] = leaves;
    if (leaf === undefined || leaves.length !== 1 || leaf.device !== device) {
      wrong.push(`${device}: ${body}`);
      continue;
    }
    const key = `${device} ${leaf.value}`;
    const known = timeOf.get(key) ?? leaf.timestamp;
    timeOf.set(key, known);
    if (known !== leaf.timestamp) wrong.push(`${key} at ${known} and at ${leaf.timestamp}`);
    if (ageMs > maxStalenessMs) wrong.push(`${device}: stated to be ${ageMs} ms old`);
    const oldMs = atMs - Number(BigInt(leaf.timestamp) / 1_000_000n);
    if (oldMs > maxStalenessMs + collectionMs) wrong.push(`${device}: ${oldMs} ms old, by ${servedBy}`);
  }
  return wrong;
}

const isRefusal = ({ status, body }: Asked): boolean =>
  status === 503 && /"code":"(TOO_STALE|NOT_CAUGHT_UP)"/.test(body) && body.includes('"detail"');

(hasTestKafka ? describe : describe.skip)('divert, three instances that hold every slot twice', () => {
  const kafka = testKafka();
  const stack = new Stack({
    kafka,
    devices,
    rate,
    updates: 5,
    ingest: 1,
    queryApi: 3,
    slots,
    simulator: { interfaces: '1', blobBytes: '0' },
    env: { HOLDFAST_READ_REPLICAS: '2' },
  });

  const slotsHeld = async (): Promise<Map<string, number>> => {
    const data = (await stack.api(entry).call('GET', '/api/v1/instances')) as {
      instances: { instance: string; role: string; slots: number }[];
    };
    const own = data.instances.filter(({ role }) => role === 'query-api');
    return new Map(own.map((one) => [one.instance, one.slots]));
  };
  const everySlotTwice = (): Promise<Map<string, number>> =>
    eventually('every slot is held twice, by three', 60_000, async () => {
      const held = await slotsHeld();
      const total = [...held.values()].reduce((sum, count) => sum + count, 0);
      const own = held.get(entry)!;
      // None at all: it has just come, and the two others hold everything still.
      return held.size === 3 && total === 2 * slots && own > 0 && own < slots ? held : undefined;
    });

  beforeAll(async () => {
    await stack.start();
    // Starting asked it about all devices: it has borrowed the slots that it does not hold, and keeps them for a minute.
    await stack.process(entry).stop();
    await stack.startPart('query-api', entry);
    await everySlotTwice();
  }, 180_000);
  afterAll(() => stack.stop(), 60_000);

  test(
    'one killed and one stopped under load: no error but 503 with a reason, nothing wrong or over age, and quick again',
    async () => {
      const load = new Load(stack.http(entry));
      const faults: { readonly name: string; readonly atMs: number }[] = [];
      const fault = async (name: string, inflict: () => unknown): Promise<void> => {
        faults.push({ name, atMs: Date.now() });
        await inflict();
        await sleep(phaseMs);
      };
      const warmUp = new Load(stack.http(entry), requestsPerSecond / 2);
      warmUp.start();
      await sleep(warmUpMs);
      await warmUp.stop();
      load.start();
      await sleep(rampMs);
      const quietFromMs = Date.now();
      await sleep(phaseMs);
      await fault('kill -9', () => stack.process('query-api-3').kill());
      await fault('start', () => stack.startPart('query-api', 'query-api-3'));
      await load.stop();
      await everySlotTwice();

      const second = new Load(stack.http(entry));
      const againFromMs = Date.now();
      second.start();
      await sleep(rampMs);
      const control = await controlClient(stack.http(entry));
      await fault('SIGSTOP', () => stack.process('query-api-2').signal('SIGSTOP'));
      const stalls = await control.stop();
      await fault('SIGCONT', () => stack.process('query-api-2').signal('SIGCONT'));
      await second.stop();

      const asked = [...warmUp.asked, ...load.asked, ...second.asked];
      const nearFault = ({ atMs }: Asked): boolean => faults.some((one) => atMs >= one.atMs && atMs < one.atMs + 2_000);
      const quiet = asked.filter(({ atMs }) => atMs >= quietFromMs && atMs < faults[0]!.atMs).map(({ ms }) => ms);
      const isRamp = ({ atMs }: Asked): boolean => atMs >= againFromMs && atMs < againFromMs + rampMs;
      const later = asked
        .filter((one) => one.atMs >= faults[0]!.atMs && !nearFault(one) && !isRamp(one))
        .map(({ ms }) => ms);
      const forwarded = asked.filter(({ divert }) => divert.startsWith('forwarded'));
      const figures = {
        asked: asked.length,
        forwarded: forwarded.length,
        byOthers: new Set(forwarded.map(({ servedBy }) => servedBy)).size,
        refused: asked.filter(isRefusal).length,
        refusals: [...new Set(asked.filter(isRefusal).map(({ body }) => /"detail":"([^"]*)"/.exec(body)?.[1]))].slice(
          0,
          3,
        ),
        quietP99Ms: p99Of(quiet),
        laterP99Ms: p99Of(later),
        nearFaultsMaxMs: Math.max(...asked.filter(nearFault).map(({ ms }) => ms)),
        control: stalls,
      };
      process.stdout.write(`${JSON.stringify(figures)}\n`);

      expect(asked.filter((one) => one.error !== null || (one.status !== 200 && !isRefusal(one))).slice(0, 3)).toEqual(
        [],
      );
      expect(wrongOf(asked).slice(0, 3)).toEqual([]);
      expect(figures.forwarded).toBeGreaterThan(asked.length / 20); // else nothing was shown
      expect(figures.byOthers).toBe(2);
      expect(figures.refused).toBeLessThanOrEqual(asked.length / 100);
      if (long) expect(figures.laterP99Ms).toBeLessThanOrEqual(3 * figures.quietP99Ms);
      // The control: clients that were sent to the holders, and have nobody who asks another one for them.
      expect(stalls.failed).toBeGreaterThan(stalls.asked / 10);
    },
    long ? 300_000 : 180_000,
  );

  test('a connection to the instance that is killed is reset', async () => {
    const agent = new Agent({ keepAlive: true });
    const base = stack.http('query-api-3');
    expect((await ask(base, 'sim-1', agent)).error).toBeNull();
    await stack.process('query-api-3').kill();
    const reply = await ask(base, 'sim-1', agent);
    expect(reply.error).toMatch(/ECONNRESET|ECONNREFUSED|socket hang up/);
    expect((await ask(stack.http(entry), 'sim-1', agent)).error).toBeNull(); // one retry suffices
    agent.destroy();
  }, 30_000);
});

/** Learns with `Prefer: redirect` who answers for each device, and asks there from then on. */
async function controlClient(base: string): Promise<{ stop(): Promise<{ asked: number; failed: number }> }> {
  const holders = new Map<string, string>();
  for (let n = 1; n <= devices; n += 1) {
    const response = await fetch(`${base}/api/v1/devices/sim-${n}/state?path=/simulator/state/sequence`, {
      headers: { Prefer: 'redirect' },
      redirect: 'manual',
    });
    await response.arrayBuffer();
    const location = response.headers.get('location');
    if (location !== null) holders.set(`sim-${n}`, new URL(location).origin);
  }
  const all: Promise<Asked>[] = [];
  const timer = setInterval(() => {
    const [device, holder] = [...holders][all.length % holders.size]!;
    all.push(ask(holder, device, false, 1_000));
  }, 50);
  return {
    stop: async () => {
      clearInterval(timer);
      const ended = await Promise.all(all);
      return { asked: ended.length, failed: ended.filter(({ error }) => error !== null).length };
    },
  };
}

function p99Of(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.99)] ?? Number.NaN;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
