/** An instance that holds nothing itself, others that hold everything, and real HTTP between them. */
import { systemClock } from '../../core/clock.ts';
import { type SlotLender } from '../../query-api/divert.ts';
import { PeerClient } from '../../query-api/peer-client.ts';
import { PeerExperience } from '../../query-api/peer-experience.ts';
import { PeerRaces } from '../../query-api/peer-race.ts';
import { type Candidate, type ReportedSlot } from '../../query-api/candidate.ts';
import { type SlotFreshness } from '../../query-api/slot-freshness.ts';
import { StreamProxy } from '../../query-api/stream-proxy.ts';
import { type Api, epoch, startApi } from './api-fixture.ts';
import { type BadPeer } from './bad-peer.ts';

const stops: (() => Promise<void>)[] = [];

/** After each test. */
export async function stopAll(): Promise<void> {
  for (const stop of stops.splice(0).reverse()) await stop();
}

export const report: ReportedSlot = { epoch, seq: 1n, stalenessMs: 5 };
const absent = (): SlotFreshness => ({ kind: 'absent' });

/** Asked in the order of the list. */
const candidateOf = (instance: string, http: string, cost: number, more: Partial<Candidate> = {}): Candidate => ({
  instance,
  http,
  zone: '',
  cost,
  load: 0,
  inFlight: 0,
  health: 'ok',
  report: () => report,
  ...more,
});

/** Lends whatever is asked for; `freshness` is that of a slot from then on, `released` how many loans came back. */
export function countingLender() {
  let held = false;
  const counted = { released: 0 };
  const lender: SlotLender = {
    borrow: () => {
      held = true;
      return Promise.resolve(() => void (counted.released += 1));
    },
  };
  const freshness = (): SlotFreshness => (held ? { kind: 'known', stalenessMs: 1 } : { kind: 'absent' });
  return { lender, freshness, counted };
}

interface EntryOptions {
  readonly hedging?: boolean;
  /** What it says of its own slots; without: it holds none. */
  readonly freshness?: (slot: number) => SlotFreshness;
  readonly more?: Partial<Candidate>;
  readonly lender?: SlotLender;
}

export async function startEntry(
  peers: readonly (readonly [instance: string, http: string])[],
  options: EntryOptions = {},
) {
  const experience = new PeerExperience(systemClock);
  const client = new PeerClient({ self: 'query-1', clock: systemClock });
  const attempts: string[] = [];
  const { hedging = true } = options;
  const races = new PeerRaces({
    client,
    experience,
    clock: systemClock,
    hedging,
    onAttempt: (end) => attempts.push(end),
  });
  const streams = new StreamProxy({ client, experience, clock: systemClock });
  const all = (): Candidate[] =>
    peers.map(([instance, http], n) =>
      candidateOf(instance, http, n, {
        health: experience.isSuspect(instance) ? 'suspect' : 'ok',
        ...options.more,
      }),
    );
  const api = await startApi({
    divert: (own) => ({ ...own, candidates: { all }, races, streams, lender: options.lender ?? null }),
  });
  stops.push(
    () => client.stop(),
    () => api.server.stop(),
  );
  await api.addDevice('leaf-1');
  api.state.freshness = options.freshness ?? absent;
  return { ...api, attempts, experience };
}

export async function startHolder(instanceId: string, value = 1n): Promise<Api> {
  const api = await startApi({ instanceId });
  stops.push(() => api.server.stop());
  await api.addDevice('leaf-1');
  api.addLeaf('leaf-1', '/a', { kind: 'uint', value });
  return api;
}

export async function bad(starting: Promise<BadPeer>): Promise<BadPeer> {
  const peer = await starting;
  stops.push(() => peer.stop());
  return peer;
}

export const path = '/api/v1/devices/leaf-1/state';
export const outcomesOf = async (api: Api): Promise<string[]> =>
  (await api.ask('/metrics')).text
    .split('\n')
    .filter((line) => line.startsWith('holdfast_query_api_diverted_total{'))
    .map((line) => line.replace(/.*reason="(\w+)",outcome="(\w+)"} (\d+)/, '$1 $2 $3'));
