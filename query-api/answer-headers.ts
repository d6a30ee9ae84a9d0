/** The `Holdfast-…` headers of an answer about state. */
import { slotKey } from '../schemas/topics.ts';
import { type Slot } from '../schemas/slot.ts';
import { type TablesView } from './api-context.ts';

/** A longer cursor is in the body alone: clients and proxies bound the sum of all headers, often at 8 KB. */
const cursorLengthMax = 4_096;

export function stateHeaders(
  answer: { cursor: string; stalenessMs: number; slots: readonly Slot[]; instanceId: string },
  tables: TablesView,
): Record<string, string> {
  const headers: Record<string, string> = {
    'Holdfast-Age-Ms': String(answer.stalenessMs),
    'Holdfast-Served-By': headerText(answer.instanceId),
    'Holdfast-Divert': 'local',
  };
  if (answer.cursor.length <= cursorLengthMax) headers['Holdfast-Cursor'] = answer.cursor;
  const [slot] = answer.slots;
  const owner = slot !== undefined && answer.slots.length === 1 ? ownerOf(slot, tables) : null;
  if (owner !== null) headers['Holdfast-Owner'] = headerText(owner);
  return headers;
}

/** The instance that holds a slot, by its last record; `null`: nobody does. */
export function ownerOf(slot: Slot, tables: TablesView): string | null {
  const row = tables.ownership.get(slotKey(slot));
  return row?.kind === 'slot' && row.slot.state === 'held' ? (row.slot.holder?.instance ?? null) : null;
}

/** Instance ids are free text; a header is printable ASCII. */
function headerText(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?');
}
