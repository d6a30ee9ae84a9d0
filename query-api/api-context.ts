/** What the routes answer from. Narrow on purpose: each member is what one group of routes reads or does. */
import { type Clock } from '../core/clock.ts';
import { HoldfastError } from '../core/errors.ts';
import { type Device } from '../schemas/device.ts';
import { type Instance } from '../schemas/instance.ts';
import { type Profile } from '../schemas/profile.ts';
import { slotOf, type Slot } from '../schemas/slot.ts';
import { slotKey } from '../schemas/topics.ts';
import { type DeletedNames } from './deleted-names.ts';
import { type DesiredState } from './desired-state.ts';
import { type Divert } from './divert.ts';
import { type OwnershipRow } from './ownership-row.ts';
import { type StateView } from './replica.ts';
import { type RequestLimits } from './request-limits.ts';
import { type Sightings } from './sightings.ts';
import { type StatusRow } from './status-row.ts';
import { type Rows } from './tables.ts';
import { type Wishes } from './wishes.ts';

export interface TablesView {
  /** Every table was read to its end once; before that a missing row means nothing. */
  readonly loaded: boolean;
  readonly devices: Rows<Device>;
  readonly profiles: Rows<Profile>;
  readonly status: Rows<StatusRow>;
  readonly ownership: Rows<OwnershipRow>;
  readonly instances: Rows<Instance>;
  readonly deletedDevices: DeletedNames;
  readonly sightings: Sightings;
}

export interface ApiContext {
  readonly instanceId: string;
  readonly slots: number;
  readonly limits: RequestLimits;
  readonly clock: Clock;
  readonly tables: TablesView;
  readonly state: StateView;
  readonly divert: Divert;
  readonly desired: DesiredState;
  readonly wishes: Wishes;
}

/** Throws `NOT_CAUGHT_UP` until the tables have been read to their ends. */
export function requireTables(context: ApiContext): TablesView {
  if (context.tables.loaded) return context.tables;
  throw new HoldfastError('NOT_CAUGHT_UP', 'this instance is still reading its tables; try again in a second');
}

/** Throws `DEVICE_UNKNOWN` with the reason. */
export function requireDevice(context: ApiContext, name: string): Device {
  const tables = requireTables(context);
  const device = tables.devices.get(name);
  if (device !== undefined) return device;
  const deleted = tables.deletedDevices.has(name);
  throw new HoldfastError(
    'DEVICE_UNKNOWN',
    deleted ? `device ${name} was deleted` : `there is no device ${name}; PUT /api/v1/devices/{name} adds one`,
    { facts: { device: name, reason: deleted ? 'deleted' : 'unknown' } },
  );
}

/** True when a session to the device has sent everything it subscribed to, as far as its owner said and is there. */
export function isSynced(tables: TablesView, device: string): boolean {
  const row = tables.status.get(device);
  if (row?.status.state !== 'synced' || tables.sightings.isGone(row.status.instance)) return false;
  const owned = tables.ownership.get(slotKey(row.position.slot));
  return owned?.kind !== 'slot' || row.position.epoch >= owned.slot.epoch; // a new owner ends the sessions of the one before
}

/** Ascending, without repeats. */
export function slotsOf(devices: Iterable<string>, slots: number): Slot[] {
  return [...new Set([...devices].map((device) => slotOf(device, slots)))].sort((a, b) => a - b);
}
