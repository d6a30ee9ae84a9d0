import { Counter, Gauge } from 'prom-client';
import { type ProduceCounters } from '../core/kafka/produce-dispatcher.ts';
import { exportPeerCounters, noPeerCounters } from '../core/kafka/peer-metrics.ts';
import { exportProduceCounters } from '../core/kafka/produce-metrics.ts';
import { noProduceCounters } from '../core/kafka/produce-dispatcher.ts';
import { type PeerCounters } from '../core/kafka/tcp-peers.ts';
import { type Metrics } from '../core/metrics.ts';
import { type RecordTally } from './slot-reducer.ts';
import { discardReasons, oddities, type Tally, tombstoneCauses } from './tally.ts';

/**
 * The replicator's metrics: constructing registers all of them and starts nothing. The rules count in plain numbers, which
 * `take` moves here.
 */
export class ReplicatorMetrics {
  readonly slots: Gauge;
  readonly leaves: Gauge;
  readonly lagRecords: Gauge<'slot'>;
  readonly lagSeconds: Gauge<'slot'>;
  readonly unackedBytes: Gauge;
  readonly commits: Counter<'outcome'>;
  readonly healed: Counter;
  readonly defects: Counter;
  readonly restoreSeconds: Gauge;
  readonly #records: Counter<'outcome'>;
  readonly #gaps: Counter;
  readonly #missing: Counter;
  readonly #stored: Counter;
  readonly #discarded: Counter<'reason'>;
  readonly #tombstones: Counter<'cause'>;
  readonly #oddities: Counter<'kind'>;
  readonly #senderDuplicates: Counter;

  constructor(
    metrics: Metrics,
    produced: Readonly<ProduceCounters> = noProduceCounters,
    peers: PeerCounters = noPeerCounters,
  ) {
    exportProduceCounters(metrics, 'replicator', produced);
    exportPeerCounters(metrics, 'replicator', peers);
    const registers = [metrics.registry];
    const counter = (name: string, help: string) => new Counter({ name, help, registers });
    const counterBy = <L extends string>(name: string, help: string, label: L) =>
      new Counter<L>({ name, help, labelNames: [label], registers });
    const gauge = (name: string, help: string) => new Gauge({ name, help, registers });
    const prefix = 'holdfast_replicator_';
    this.slots = gauge(`${prefix}slots`, 'slots whose state this process keeps');
    this.leaves = gauge(`${prefix}leaves`, 'leaves of those slots');
    const gaugeBySlot = (name: string, help: string) =>
      new Gauge<'slot'>({ name, help, labelNames: ['slot'], registers });
    this.lagRecords = gaugeBySlot(`${prefix}lag_records`, 'telemetry records not yet applied');
    this.lagSeconds = gaugeBySlot(`${prefix}lag_seconds`, 'how far state is behind telemetry, as its markers say');
    this.unackedBytes = gauge(`${prefix}unacked_bytes`, 'bytes of state records not yet confirmed by Kafka');
    this.restoreSeconds = gauge(`${prefix}restore_seconds`, 'how long the last takeover read state for');
    this.commits = counterBy(`${prefix}commits_total`, 'commits of the next offset', 'outcome');
    this.healed = counter(`${prefix}records_healed_total`, 'state records written again at takeover');
    this.defects = counter(`${prefix}defects_total`, 'telemetry records that our own code failed on; skipped');
    this.#records = counterBy(`${prefix}records_total`, 'telemetry records by what became of them', 'outcome');
    this.#gaps = counter(`${prefix}gaps_total`, 'holes in the positions of telemetry');
    this.#missing = counter(`${prefix}records_missing_total`, 'records known to be missing in those holes');
    this.#stored = counter(`${prefix}leaves_written_total`, 'leaf records written');
    this.#discarded = counterBy(`${prefix}updates_discarded_total`, 'updates that were not written', 'reason');
    this.#tombstones = counterBy(`${prefix}tombstones_written_total`, 'leaves removed', 'cause');
    this.#oddities = counterBy(`${prefix}oddities_total`, 'things devices should not say', 'kind');
    this.#senderDuplicates = counter(`${prefix}sender_duplicates_total`, 'values that senders say they merged');
  }

  /** Moves the counts here and leaves zeros behind. */
  take(tally: Tally, records: RecordTally): void {
    this.#stored.inc(tally.stored);
    this.#senderDuplicates.inc(tally.senderDuplicates);
    tally.stored = 0;
    tally.senderDuplicates = 0;
    for (const reason of discardReasons) this.#move(tally.discarded, reason, this.#discarded.labels({ reason }));
    for (const cause of tombstoneCauses) this.#move(tally.tombstones, cause, this.#tombstones.labels({ cause }));
    for (const kind of oddities) this.#move(tally.odd, kind, this.#oddities.labels({ kind }));
    for (const outcome of ['applied', 'replayed', 'oldEpoch', 'repeated', 'malformed'] as const) {
      this.#move(records, outcome, this.#records.labels({ outcome: outcome === 'oldEpoch' ? 'old-epoch' : outcome }));
    }
    this.#gaps.inc(records.gaps);
    this.#missing.inc(Number(records.missing));
    records.gaps = 0;
    records.missing = 0n;
  }

  #move<K extends string>(counts: Record<K, number>, key: K, counter: { inc(value: number): void }): void {
    counter.inc(counts[key]);
    counts[key] = 0;
  }
}
