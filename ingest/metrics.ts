import { Counter, Gauge, type Registry } from 'prom-client';
import { type ProduceCounters } from '../core/kafka/produce-dispatcher.ts';
import { exportPeerCounters, noPeerCounters } from '../core/kafka/peer-metrics.ts';
import { exportProduceCounters } from '../core/kafka/produce-metrics.ts';
import { noProduceCounters } from '../core/kafka/produce-dispatcher.ts';
import { type PeerCounters } from '../core/kafka/tcp-peers.ts';

/**
 * What ingest counts. Everything that moves has a counter and every loss has a reason; labels come from closed lists, so
 * the number of series does not grow with the fleet.
 */
export interface IngestMetrics {
  /** Counted on the way of every message, so plain numbers; the registry reads them when somebody scrapes. */
  readonly tally: { messages: number; messageBytes: number; updates: number; deletes: number };
  readonly messagesFlawed: Counter<'reason'>;
  readonly messagesDiscarded: Counter<'reason'>;
  readonly bytesDiscarded: Counter;
  readonly markers: Counter<'kind'>;
  readonly dials: Counter;
  readonly prepared: Counter<'outcome'>;
  readonly preparedConnections: Gauge;
  readonly sessionsEnded: Counter<'outcome'>;
  readonly sessionsPaused: Counter;
  readonly sessions: Gauge<'state'>;
  readonly slots: Gauge;
  readonly unackedBytes: Gauge;
}

export interface IngestGauges {
  sessionsByState(): ReadonlyMap<string, number>;
  slotsHeld(): number;
  unackedBytes(): number;
  readonly produced: Readonly<ProduceCounters>;
  readonly peers: PeerCounters;
  /** By topic. */
  tableLagRecords(): ReadonlyMap<string, number>;
}

/** An ingest that has not begun: for those who only want to know the names. */
export const idleGauges: IngestGauges = {
  sessionsByState: () => new Map(),
  slotsHeld: () => 0,
  unackedBytes: () => 0,
  produced: noProduceCounters,
  peers: noPeerCounters,
  tableLagRecords: () => new Map(),
};

/**
 * Registers all metrics of ingest and starts nothing. Gauges are read when somebody scrapes, so nothing is updated on the
 * way of a message.
 */
export function createIngestMetrics(registry: Registry, gauges: IngestGauges = idleGauges): IngestMetrics {
  const registers = [registry];
  const counter = (name: string, help: string): Counter =>
    new Counter({ name: `holdfast_ingest_${name}`, help, registers });
  const labelled = <L extends string>(name: string, help: string, label: L): Counter<L> =>
    new Counter({ name: `holdfast_ingest_${name}`, help, labelNames: [label], registers });
  const tally = { messages: 0, messageBytes: 0, updates: 0, deletes: 0 };
  const tallied = (name: string, help: string, read: () => number): Counter =>
    new Counter({
      name: `holdfast_ingest_${name}`,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  tallied('messages_total', 'messages received from devices', () => tally.messages);
  tallied('message_bytes_total', 'bytes of messages received from devices', () => tally.messageBytes);
  tallied('updates_total', 'updates inside the messages appended to telemetry', () => tally.updates);
  tallied('deletes_total', 'deletes inside the messages appended to telemetry', () => tally.deletes);
  exportProduceCounters({ registry }, 'ingest', gauges.produced);
  exportPeerCounters({ registry }, 'ingest', gauges.peers);
  return {
    tally,
    messagesFlawed: labelled(
      'messages_flawed_total',
      'messages that carry no data: malformed, too-large, deprecated error, empty, sync with false',
      'reason',
    ),
    messagesDiscarded: labelled(
      'messages_discarded_total',
      'messages that Kafka refused for good; a gap marker stands in their place',
      'reason',
    ),
    bytesDiscarded: counter(
      'discarded_bytes_total',
      'bytes that Kafka had not acknowledged when their slot was lost; devices with messages among them get a gap marker',
    ),
    markers: labelled('markers_total', 'markers appended to telemetry, by kind', 'kind'),
    dials: counter('dials_total', 'attempts to connect to a device, those that prepare for a takeover included'),
    prepared: labelled(
      'prepared_total',
      'prepared connections by what became of them: used by a session, failed to come up, ended by the device, dropped by us',
      'outcome',
    ),
    preparedConnections: new Gauge({
      name: 'holdfast_ingest_prepared_connections',
      help: 'connections kept ready to devices of slots that this process stands by for',
      registers,
    }),
    sessionsEnded: labelled('sessions_ended_total', 'sessions ended, by outcome', 'outcome'),
    sessionsPaused: counter('sessions_paused_total', 'times a session was paused because Kafka did not take its bytes'),
    ...registerGauges(registry, gauges),
  };
}

function registerGauges(
  registry: Registry,
  gauges: IngestGauges,
): Pick<IngestMetrics, 'sessions' | 'slots' | 'unackedBytes'> {
  const registers = [registry];
  new Gauge({
    name: 'holdfast_ingest_table_lag_records',
    help: 'records of devices, profiles and status that this process has not read yet, by topic',
    labelNames: ['topic'],
    registers,
    collect() {
      this.reset();
      for (const [topic, lag] of gauges.tableLagRecords()) this.set({ topic }, lag);
    },
  });
  return {
    sessions: new Gauge({
      name: 'holdfast_ingest_sessions',
      help: 'devices of the held slots, by state of their session',
      labelNames: ['state'],
      registers,
      collect() {
        this.reset();
        for (const [state, count] of gauges.sessionsByState()) this.set({ state }, count);
      },
    }),
    slots: new Gauge({
      name: 'holdfast_ingest_slots',
      help: 'slots held by this process',
      registers,
      collect() {
        this.set(gauges.slotsHeld());
      },
    }),
    unackedBytes: new Gauge({
      name: 'holdfast_ingest_unacked_bytes',
      help: 'bytes of messages, markers and status records that Kafka has not acknowledged yet',
      registers,
      collect() {
        this.set(gauges.unackedBytes());
      },
    }),
  };
}
