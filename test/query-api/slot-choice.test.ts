import { expect, test } from '@jest/globals';
import { silentLogger } from '../../core/logger.ts';
import { SlotChoice } from '../../query-api/slot-choice.ts';
import { Sightings } from '../../query-api/sightings.ts';
import { type Instance } from '../../schemas/instance.ts';
import { type Slot } from '../../schemas/slot.ts';
import { FakeClock } from '../support/fake-clock.ts';

const slots = 16;

/** Several instances over one table; each loads what it is told to when the test says so. */
class Fleet {
  readonly clock = new FakeClock();
  readonly instances = new Map<string, Instance>();
  readonly sightings = new Sightings(this.clock);
  readonly holdings = new Map<string, SlotChoice>();
  readonly told = new Map<string, ReadonlySet<Slot>[]>();
  readonly loaded = new Map<string, Set<Slot>>();
  /** Those that were told and have not loaded it. */
  readonly slow = new Set<string>();
  readonly tables = {
    loaded: true,
    instances: this.instances,
    ownership: { size: 0, get: () => undefined, entries: () => [] },
    sightings: this.sightings,
  };

  constructor() {
    this.sightings.loaded();
  }

  start(self: string, replicas = 2): SlotChoice {
    const told: ReadonlySet<Slot>[] = [];
    this.told.set(self, told);
    this.loaded.set(self, new Set());
    const holding = new SlotChoice({
      holder: {
        hold: (now) => {
          told.push(now);
          for (const slot of this.loaded.get(self)!) if (!now.has(slot)) this.loaded.get(self)!.delete(slot);
        },
      },
      tables: this.tables,
      self,
      slots,
      replicas,
      freshMs: 10_000,
      clock: this.clock,
      logger: silentLogger,
    });
    this.holdings.set(self, holding);
    return holding;
  }

  held(self: string): Slot[] {
    return [...(this.told.get(self)!.at(-1) ?? [])].sort((a, b) => a - b);
  }

  stop(self: string): void {
    this.holdings.delete(self);
  }

  /** Everybody reports what it has loaded, and takes a step. */
  async seconds(count: number): Promise<void> {
    for (let second = 0; second < count; second += 1) {
      for (const self of this.holdings.keys()) {
        const loaded = this.loaded.get(self)!;
        if (!this.slow.has(self)) for (const slot of this.held(self)) loaded.add(slot);
        this.report(self, [...loaded]);
      }
      for (const holding of this.holdings.values()) holding.step();
      await this.clock.advance(1_000);
      this.check();
    }
  }

  report(instance: string, held: readonly Slot[], stalenessMs = 5): void {
    this.instances.set(instance, {
      ...{ instance, role: 'query-api', incarnation: '1', http: 'h:1', gnmi: '', zone: '', version: '1' },
      ...{ startedAtNs: 1n, draining: false, load: 0 },
      slots: held.map((slot) => ({ slot, epoch: 1n, seq: 1n, stalenessMs })),
    });
    this.sightings.changed(instance, true);
  }

  check: () => void = () => undefined;

  holdersOf(slot: Slot): string[] {
    return [...this.holdings.keys()].filter((self) => this.loaded.get(self)!.has(slot));
  }
}

const all = Array.from({ length: slots }, (_, slot) => slot);

test('a stop leaves no timer', async () => {
  const fleet = new Fleet();
  const choice = fleet.start('a');
  await choice.start();
  await choice.stop();
  expect(fleet.clock.armed).toBe(0);
});

test('SH3: nothing is decided before the tables are loaded, our own record was seen, and the members have settled', async () => {
  const fleet = new Fleet();
  const holding = fleet.start('a');
  fleet.tables.loaded = false;
  await fleet.seconds(4);
  expect(fleet.told.get('a')).toEqual([]);
  fleet.tables.loaded = true;
  for (let second = 0; second < 3; second += 1) {
    fleet.report('b', []); // we are not in the table yet
    holding.step();
    await fleet.clock.advance(900);
  }
  fleet.start('c');
  await fleet.seconds(2);
  expect(fleet.told.get('a')).toEqual([]);
  await fleet.seconds(2);
  expect(fleet.told.get('a')).toHaveLength(1);
});

test('three instances hold every slot twice, and nobody holds all', async () => {
  const fleet = new Fleet();
  for (const self of ['a', 'b', 'c']) fleet.start(self);
  await fleet.seconds(8);
  for (const slot of all) expect(fleet.holdersOf(slot)).toHaveLength(2);
  for (const self of ['a', 'b', 'c']) expect(fleet.told.get(self)).toHaveLength(1);
});

test('SH1: when a third comes no slot is ever held less than twice, and in the end exactly twice', async () => {
  const fleet = new Fleet();
  fleet.start('a');
  fleet.start('b');
  await fleet.seconds(6);
  fleet.check = () => {
    for (const slot of all) expect(fleet.holdersOf(slot).length).toBeGreaterThanOrEqual(2);
  };
  fleet.start('c');
  fleet.slow.add('c');
  await fleet.seconds(20);
  expect([fleet.held('a'), fleet.held('b')]).toEqual([all, all]); // c has loaded nothing yet
  expect([...fleet.holdings.get('a')!.held].sort((a, b) => a - b)).toEqual(all);
  fleet.slow.clear();
  await fleet.seconds(10);
  for (const slot of all) expect(fleet.holdersOf(slot)).toHaveLength(2);
  expect(fleet.held('c').length).toBeGreaterThan(0);
});

test('SH1: a slot that the others report with too much staleness is kept', async () => {
  const fleet = new Fleet();
  fleet.start('a');
  for (let second = 0; second < 6; second += 1) await withReports(fleet, all, 5);
  expect(fleet.held('a')).toEqual(all); // two others there, but only one holds: a is assigned some, keeps the rest
  for (let second = 0; second < 6; second += 1) await withReports(fleet, all, 20_000, ['b', 'c']);
  expect(fleet.held('a')).toEqual(all);
  for (let second = 0; second < 6; second += 1) await withReports(fleet, all, 5, ['b', 'c']);
  expect(fleet.held('a').length).toBeLessThan(slots);
});

async function withReports(fleet: Fleet, held: readonly Slot[], stalenessMs: number, others = ['b']): Promise<void> {
  for (const other of others) fleet.report(other, held, stalenessMs);
  await fleet.seconds(1);
}

test('SH2: what one other holds is let go after two minutes, what nobody else holds is kept', async () => {
  const fleet = new Fleet();
  fleet.start('a', 2);
  for (let second = 0; second < 6; second += 1) await withReports(fleet, [], 5);
  expect(fleet.held('a')).toEqual(all);
  const some = all.slice(0, 8);
  const seconds = async (count: number): Promise<void> => {
    for (let second = 0; second < count; second += 1) {
      fleet.report('c', [], 5);
      await withReports(fleet, some, 5);
    }
  };
  await seconds(115);
  expect(fleet.held('a')).toEqual(all);
  await seconds(15);
  const held = new Set(fleet.held('a'));
  expect(all.slice(8).every((slot) => held.has(slot))).toBe(true);
  expect(held.size).toBeLessThan(slots);
});

test('one that drains is assigned nothing, and holds on until the others have it', async () => {
  const fleet = new Fleet();
  for (const self of ['a', 'b', 'c']) fleet.start(self);
  await fleet.seconds(8);
  const report = fleet.report.bind(fleet);
  fleet.report = (instance, held, stalenessMs) => {
    report(instance, held, stalenessMs);
    if (instance === 'a') fleet.instances.set('a', { ...fleet.instances.get('a')!, draining: true });
  };
  fleet.check = () => {
    for (const slot of all) expect(fleet.holdersOf(slot).length).toBeGreaterThanOrEqual(2);
  };
  await fleet.seconds(10);
  expect(fleet.held('a')).toEqual([]);
  expect([fleet.held('b'), fleet.held('c')]).toEqual([all, all]);
});
