import { Counter, Gauge } from 'prom-client';
import { type Metrics } from '../metrics.ts';
import { type PeerCounters } from './tcp-peers.ts';

/** Nobody is watched: for those who only want to know the names. */
export const noPeerCounters: PeerCounters = {
  watched: () => 0,
  ended: 0,
  gone: 0,
  nudgesSent: 0,
  nudgesReceived: 0,
};

const rows: readonly (readonly [Exclude<keyof PeerCounters, 'watched'>, name: string, help: string])[] = [
  ['ended', 'peer_connections_ended_total', 'connections to processes of other members that ended'],
  ['gone', 'peers_gone_total', 'processes of other members found gone'],
  ['nudgesSent', 'nudges_sent_total', 'times the other processes were asked for a heartbeat'],
  ['nudgesReceived', 'nudges_received_total', 'times this process was asked for a heartbeat'],
];

/** What peer watch counts, for the metrics of the part that has it; names are `holdfast_<part>_…`. Once per registry. */
export function exportPeerCounters(
  metrics: Metrics,
  part: 'ingest' | 'replicator',
  counters: PeerCounters = noPeerCounters,
): void {
  const registers = [metrics.registry];
  new Gauge({
    name: `holdfast_${part}_peers_watched`,
    help: 'processes of other members whose crash would be noticed now',
    registers,
    collect() {
      this.set(counters.watched());
    },
  });
  for (const [key, name, help] of rows) {
    new Counter({
      name: `holdfast_${part}_${name}`,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(counters[key]);
      },
    });
  }
}
