/**
 * Nothing is lost between the log and a reader. Three query-api processes over a `state` that this test writes itself, so
 * that the truth does not come from the code under test; an SSE reader and a gNMI reader are cut off again and again and come
 * back to an instance at random, and now and then the instance is killed with -9. TEST_LONG=1 is the run that
 * docs/performance.md quotes (`npm run test:streams`).
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { systemClock } from '../../core/clock.ts';
import { seededRandom } from '../../core/random.ts';
import { eventually } from '../support/eventually.ts';
import { GnmiReader } from '../support/gnmi-reader.ts';
import { testKafka } from '../support/kafka.ts';
import { SseClient, type StreamedEvent, type StreamedLeaf } from '../support/sse-client.ts';
import { StateSource } from '../support/state-source.ts';
import { type SentLeaf, StreamAudit } from '../support/stream-audit.ts';
import { StreamStage } from '../support/stream-stage.ts';

const long = process.env['TEST_LONG'] === '1';
const operations = long ? 1_000_000 : 80_000;
const perSecond = long ? 15_000 : 10_000;
const cuts = long ? 20 : 5;
const instances = 3;
const slots = 8;
const random = seededRandom(5);

/** One reader through all its connections: what it was sent is audited, its cursor is all that survives. */
class CutReader {
  readonly audit: StreamAudit;
  readonly gaps: StreamedEvent[] = [];
  /** From the new connection to the first event that says something new, ms. */
  readonly backMs: number[] = [];
  readonly #stage: StreamStage;
  #client: SseClient | null = null;
  #cursor = '';
  #isWalked = false;
  #connectedAtMs: number | null = null;

  constructor(stage: StreamStage, source: StateSource) {
    this.#stage = stage;
    this.audit = new StreamAudit(source);
  }

  connect(instance: string): void {
    this.#connectedAtMs = systemClock.monotonicMs();
    this.#client = new SseClient({
      port: this.#stage.port(instance),
      path: '/api/v1/state/stream',
      lastEventId: this.#cursor,
      onEvent: (event) => this.#take(event),
    });
  }

  get isWalked(): boolean {
    return this.#isWalked;
  }

  get isEnded(): boolean {
    return this.#client?.isEnded ?? true;
  }

  cut(): void {
    this.#client?.close();
    this.audit.wasCut();
  }

  #take(event: StreamedEvent): void {
    this.#client!.events.length = 0; // a million of them are not kept
    this.#cursor = this.#client!.lastEventId;
    if (event.event === 'gap') this.gaps.push(event);
    if (event.event === 'synced') this.#isWalked = true;
    if (event.event !== 'update' && event.event !== 'delete') return;
    if (this.#connectedAtMs !== null) this.backMs.push(systemClock.monotonicMs() - this.#connectedAtMs);
    this.#connectedAtMs = null;
    for (const leaf of (event.data['leaves'] ?? []) as StreamedLeaf[]) {
      if (this.#isWalked) this.audit.updated(leaf as SentLeaf);
      else this.audit.walked(leaf as SentLeaf);
    }
    for (const deleted of (event.data['deletes'] ?? []) as SentLeaf[]) this.audit.deleted(deleted);
  }
}

describe('between the log and the readers', () => {
  const kafka = testKafka();
  const stage = new StreamStage(kafka, slots);
  const source = new StateSource({
    ...{ kafka, slots, devices: 40, leavesPerDevice: 100, sampledPerDevice: 50 },
    ...{ seed: 7, deletes: true },
  });

  beforeAll(() => stage.start(instances, source), 120_000);

  afterAll(async () => {
    await source.stop();
    await stage.stop();
  }, 60_000);

  test(
    'readers that are cut off miss nothing, see nothing twice, and end with the state',
    async () => {
      const anyone = (): string => stage.instances[Math.floor(random.next() * instances)]!;
      const reader = new CutReader(stage, source);
      reader.connect(anyone());
      await eventually('the walk is over', 20_000, () => reader.isWalked);
      let gnmi = new GnmiReader(stage.gnmi(anyone()));
      const rates: number[] = [];
      for (let n = 1; n <= cuts; n += 1) {
        const portion = operations / cuts;
        const cutAt = source.written + portion * random.next();
        const running = source.run(portion, perSecond);
        await eventually('the moment of the cut', 60_000, () => source.written >= cutAt);
        reader.cut();
        gnmi.close();
        if (n % 5 === 0) {
          const killed = anyone();
          await stage.stack.process(killed).kill();
          await stage.startInstance(killed);
          const ready = stage.ready(killed);
          await Promise.all([ready, running.then(() => source.idle(ready))]);
        }
        reader.connect(anyone());
        gnmi = new GnmiReader(stage.gnmi(anyone()));
        rates.push(await running);
      }
      const rate = rates.reduce((sum, one) => sum + one, 0) / cuts;
      await eventually('the SSE reader has all of it', 30_000, () => {
        const differences = reader.audit.differences();
        if (differences.length > 0 && reader.audit.wrong.length === 0)
          throw new Error(differences.slice(0, 3).join(' · '));
        return true;
      });
      await eventually(
        'the gNMI reader holds the state',
        30_000,
        () => gnmi.synced && gnmiDifferences(gnmi).length === 0,
      );
      gnmi.close();
      reader.cut();
      const { updates, deletes, coalesced, uncounted } = reader.audit;
      const sorted = [...reader.backMs].sort((a, b) => a - b);
      const p95 = sorted[Math.ceil(sorted.length * 0.95) - 1] ?? 0;
      process.stdout.write(
        `streams: ${source.written} operations at ${Math.round(rate)}/s, ${cuts} cuts: ${updates} updates, ${deletes} deletes, ` +
          `${coalesced} coalesced, ${uncounted} merged unsaid at a cut, ${reader.audit.wrong.length} wrong, ${reader.gaps.length} gaps; next record after a new connection p95 ${Math.round(p95)} ms\n`,
      );
      expect(reader.audit.wrong).toEqual([]);
      expect(reader.audit.differences()).toEqual([]);
      expect(reader.gaps).toEqual([]);
      const afterTheWalk = source.written - source.leaves.flat().length;
      expect(updates + deletes + coalesced + uncounted).toBe(afterTheWalk);
    },
    long ? 400_000 : 120_000,
  );

  function gnmiDifferences(gnmi: GnmiReader): string[] {
    const wanted = source.leaves.flat().filter((leaf) => leaf.isThere);
    const present = new Set(wanted.map(({ key }) => key.toString()));
    const wrong = wanted.filter((leaf) => gnmi.leaves.get(leaf.key.toString()) !== String(leaf.operations));
    const surplus = [...gnmi.leaves.keys()].filter((key) => !key.includes('/meta') && !present.has(key));
    return [...wrong.map(({ key }) => key.toString()), ...surplus];
  }
});
