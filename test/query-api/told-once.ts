/** What a reader of a stream must have been told, given the log: for properties, and for the controls that break them. */
import { decodeCursor } from '../../schemas/cursor.ts';
import { formatPosition, parsePosition, type Position } from '../../schemas/position.ts';
import { type LeafChange } from '../../query-api/state-feed.ts';
import { type StreamedLife, type Told } from './streamed-life.ts';

interface Said {
  readonly device: string;
  readonly origin: string;
  readonly path: string;
  readonly position: string;
  readonly value?: unknown;
  readonly coalesced?: number;
}

const keyOf = ({ device, origin, path }: Said): string => `${device}|${origin}:${path}`;
const saidIn = ({ data }: Told): readonly Said[] => (data['leaves'] ?? data['deletes'] ?? []) as readonly Said[];

/** What the reader has: leaves by key. A gap of all devices takes everything away. */
export function readerState(events: readonly Told[]): Map<string, unknown> {
  const state = new Map<string, unknown>();
  for (const told of events) {
    if (told.event === 'gap' && told.data['device'] === null) state.clear();
    for (const said of saidIn(told)) {
      if (told.event === 'delete') state.delete(keyOf(said));
      else state.set(keyOf(said), said.value);
    }
  }
  return new Map([...state].sort());
}

export function storeState({ state }: StreamedLife): Map<string, unknown> {
  const present = new Map<string, unknown>();
  for (const [, changes] of state.told) {
    for (const change of changes) {
      const key = `${change.device}|${change.key}`;
      if (change.leaf === null) present.delete(key);
      else present.set(key, valueOf(change));
    }
  }
  return new Map([...present].sort());
}

/** Values of these tests are uints below 128: tag and one byte. */
function valueOf({ leaf }: LeafChange): string {
  return String(leaf?.value[1]);
}

/** What is wrong with how leaves were told since the last beginning; empty: each on-change value once and in order. */
export function tellingProblems(life: StreamedLife): string[] {
  const problems: string[] = [];
  const begins = life.events.findLastIndex(({ event, data }) => event === 'gap' && data['device'] === null) + 1;
  const events = life.events.slice(begins);
  const synced = events.findIndex(({ event }) => event === 'synced');
  if (synced < 0) return ['never synced'];
  const from = decodeCursor(events[synced]?.id ?? '').positions;
  const told = new Map<string, string[]>();
  for (const event of events) for (const said of saidIn(event)) {
    const list = told.get(keyOf(said)) ?? [];
    list.push(said.position);
    told.set(keyOf(said), list);
  } // prettier-ignore
  for (const [key, log] of logs(life)) {
    const heard = told.get(key) ?? [];
    const onChange = log.filter((change) => change.leaf?.sampled !== true).map(formatPosition);
    const seen = heard.filter((position) => !isSampled(log, position));
    const due = log.filter((change) => change.leaf?.sampled !== true && isBehind(from, change)).map(formatPosition);
    const text = `${key}: told ${seen.join(' ')} of ${onChange.join(' ')}`;
    if (seen.length < due.length) problems.push(`${text}, ${due.length} were due`);
    if (seen.some((position, index) => position !== onChange[onChange.length - seen.length + index])) problems.push(text);
    if (heard.some((position, index) => index > 0 && isAfter(heard[index - 1], position))) problems.push(`${key}: order`);
  } // prettier-ignore
  return problems;
}

/** Changes behind the first `synced`, and how many of them the reader was told of or told that they were left out. */
export function counts(life: StreamedLife): { readonly produced: number; readonly accounted: number } {
  const synced = life.events.findIndex(({ event }) => event === 'synced');
  const from = decodeCursor(life.events[synced]?.id ?? '').positions;
  let produced = 0;
  for (const [, log] of logs(life)) produced += log.filter((change) => isBehind(from, change)).length;
  let accounted = 0;
  for (const event of life.events.slice(synced + 1))
    for (const { coalesced = 0 } of saidIn(event)) accounted += 1 + coalesced;
  return { produced, accounted };
}

function logs({ state }: StreamedLife): Map<string, LeafChange[]> {
  const byKey = new Map<string, LeafChange[]>();
  for (const change of [...state.told.values()].flat()) {
    const key = `${change.device}|${change.key}`;
    byKey.set(key, [...(byKey.get(key) ?? []), change]);
  }
  return byKey;
}

function isSampled(log: readonly LeafChange[], position: string): boolean {
  return log.find((change) => formatPosition(change) === position)?.leaf?.sampled === true;
}

function isBehind(cursor: readonly Position[], change: LeafChange): boolean {
  const position = cursor.find(({ slot }) => slot === change.slot);
  return position === undefined || change.seq > position.seq;
}

function isAfter(a: string | undefined, b: string): boolean {
  return a !== undefined && parsePosition(a).seq > parsePosition(b).seq;
}
