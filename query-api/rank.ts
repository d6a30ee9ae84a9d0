/**
 * In which order other instances are asked. Pure.
 *
 * RK1. Suspects come last, whatever else speaks for them; within the same health, the better tier first.
 * RK2. The own zone comes first, and then the cheaper way, until fewer than 71 % of the zone's instances are healthy: then
 *      a growing share of the keys goes elsewhere first, so that the rest of the zone is not run over.
 * RK3. Among equals a key goes to the same instance as long as that has not much more to do than the others: requests for
 *      one device meet the same caches, and no instance takes on more than a quarter above its share of ours.
 */
import { hashText, scoreOf } from './hash-score.ts';
import { type Candidate } from './candidate.ts';

/** A zone is taken to have 40 % to spare: 1 / 1.4 = 71 %. */
const zoneReserveFactor = 1.4;
const loadFactor = 1.25;
/** Thousandths of a core that two idle instances may differ by without one being the busier. */
const loadSlack = 100;

export interface Ranking {
  readonly key: string;
  /** Own zone; empty: none, so all are alike. */
  readonly zone: string;
  /** Smaller is asked earlier; `null`: not asked. */
  tierOf(candidate: Candidate): number | null;
}

export function rank(holders: readonly Candidate[], ranking: Ranking): Candidate[] {
  const keyHash = hashText(ranking.key);
  const stays = staysInZone(holders, ranking.zone, keyHash);
  const busy = busyOf(holders.filter(({ health }) => health !== 'gone'));
  const places = holders.flatMap((candidate) => {
    const tier = ranking.tierOf(candidate);
    if (candidate.health === 'gone' || tier === null) return [];
    const elsewhere = (candidate.zone === ranking.zone) !== stays;
    const score = scoreOf(keyHash, hashText(candidate.instance));
    const suspect = candidate.health === 'suspect';
    return [{ candidate, order: [+suspect, tier, +elsewhere, candidate.cost, +busy.has(candidate), -score] }];
  });
  return places.sort((a, b) => compare(a.order, b.order)).map(({ candidate }) => candidate);
}

/** RK2. */
function staysInZone(holders: readonly Candidate[], zone: string, keyHash: number): boolean {
  const ours = holders.filter((candidate) => candidate.zone === zone);
  if (zone === '' || ours.length === 0) return true;
  const share = (zoneReserveFactor * ours.filter(({ health }) => health === 'ok').length) / ours.length;
  return scoreOf(keyHash, hashText('zone')) / 2 ** 32 < share;
}

/** RK3: those that have more to do than others. */
function busyOf(candidates: readonly Candidate[]): ReadonlySet<Candidate> {
  const sum = (of: (candidate: Candidate) => number): number => candidates.reduce((total, one) => total + of(one), 0);
  const inFlightMax = Math.ceil((loadFactor * (sum(({ inFlight }) => inFlight) + 1)) / candidates.length);
  const loadMax = (loadFactor * sum(({ load }) => load)) / candidates.length + loadSlack;
  return new Set(candidates.filter(({ inFlight, load }) => inFlight >= inFlightMax || load > loadMax));
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (const [at, left] of a.entries()) {
    const difference = left - (b[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
