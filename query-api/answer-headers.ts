/** The `Holdfast-…` headers of an answer about state. */
import { type Slot } from '../schemas/slot.ts';
import { type TablesView } from './api-context.ts';
import { ownerName, slotRecord } from './group-map.ts';
import { headerText } from './header-text.ts';

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
  const owner = slot !== undefined && answer.slots.length === 1 ? ownerName(slotRecord(tables, 'ingest', slot)) : null;
  if (owner !== null) headers['Holdfast-Owner'] = headerText(owner);
  return headers;
}

/** A stream's cursor is in its events. `X-Accel-Buffering`: a proxy passes events on as they come. */
export function streamHeaders(answer: { stalenessMs: number; instanceId: string }): Record<string, string> {
  return {
    'Holdfast-Age-Ms': String(answer.stalenessMs),
    'Holdfast-Served-By': headerText(answer.instanceId),
    'Holdfast-Divert': 'local',
    'X-Accel-Buffering': 'no',
  };
}
