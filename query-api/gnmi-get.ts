/**
 * Answers a gNMI Get from the store.
 *
 * A1. One notification per path and device, in the order of the request (G1), with the time of the answer (G2). Under
 *     PROTO each atomic group that a path covers follows as a notification of its own, whole (A10).
 * A2. What one path covers of one device is of one turn: its values fit together. Between devices and paths the turn may
 *     end, so that others do not wait; a slot that is forgotten meanwhile refuses the answer.
 * A3. Bounded by what is read: paths and values are counted leaf by leaf, and paths times devices before that. Whoever does
 *     not wait for the answer any more stops it.
 */
import { status } from '@grpc/grpc-js';
import { jsonSubtree } from '../core/gnmi/json-subtree.ts';
import { isRefusal, type Refusal, unimplemented } from '../core/gnmi/refusal.ts';
import { joinedPath, type ResponseForm, responseForm } from '../core/gnmi/response-form.ts';
import { type JsonForm } from '../core/gnmi/value-form.ts';
import { gnmi, type GetRequest, type GnmiNotification, type GnmiUpdate } from '../schemas/gnmi.ts';
import { defaultOrigin, formatPath, type Path, type PathElem, rootPath } from '../schemas/path.ts';
import { decodeTypedValue, encodeTypedValue } from '../schemas/value.ts';
import { type GnmiContext } from './gnmi-context.ts';
import { slotsOf } from './api-context.ts';
import { watchForgotten } from './forgotten-slots.ts';
import { GnmiCoverage } from './gnmi-coverage.ts';
import { rootKeyOf, storedGroup } from './gnmi-group.ts';
import { encodeHealth, healthValues } from './gnmi-health.ts';
import { askedDevice, depthOf, gnmiOffers, refuseBounds, refuseIncomplete, unavailable } from './gnmi-request.ts';
import { leavesInPages } from './leaf-pages.ts';
import { type LeafView } from './store.ts';
import { Turns } from './turns.ts';

/** The encoded GetResponse. */
export async function answerGet(
  context: GnmiContext,
  request: GetRequest,
  isCancelled: () => boolean = () => false,
): Promise<Buffer | Refusal> {
  const outOfBounds = refuseBounds(request.path, request.prefix, context.limits);
  if (outOfBounds !== null) return outOfBounds;
  if (request.type !== 'ALL')
    return unimplemented(`type ${request.type} needs a schema and is not supported; ask for ALL`); // G4
  if (request.useModels.length > 0) return unimplemented('use_models is not supported'); // E9
  const depth = depthOf(request.extension, null);
  if (typeof depth !== 'number') return depth;
  const paths = request.path.length === 0 ? [rootPath] : request.path;
  const form = responseForm(request.prefix, paths, request.encoding, gnmiOffers);
  if (isRefusal(form)) return form;
  const { tables, slots, state } = context;
  const asked = askedDevice(form.target, tables);
  if (isRefusal(asked)) return asked;
  const devices =
    asked.device === null ? [...tables.devices.entries()].map(([device]) => device).sort() : [asked.device];
  const { gnmiMaxGetLookUps } = context.limits;
  if (paths.length * devices.length > gnmiMaxGetLookUps) {
    const details = `${paths.length} paths of ${devices.length} devices are more than ${gnmiMaxGetLookUps}; use several requests, or Subscribe with mode ONCE`;
    return { code: status.RESOURCE_EXHAUSTED, details };
  }
  const incomplete = refuseIncomplete(devices, slots, (slot) => state.freshness(slot));
  if (incomplete !== null) return incomplete;
  const forgotten = watchForgotten(state, slotsOf(devices, slots));
  const answer = await new GetAnswer(context, form, depth, isCancelled).encode(
    paths.map((path) => joinedPath(request.prefix, path)),
    devices,
  );
  const slot = forgotten();
  return slot === undefined ? answer : unavailable(`slot ${slot} was forgotten while it was read, and is read anew`); // A2
}

/** Tags and lengths of an update, its path and its value. */
const overheadBytes = 8;

/** How many characters two texts begin with alike. */
function commonLength(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a.charCodeAt(length) === b.charCodeAt(length)) length += 1;
  return length;
}

interface CoveredLeaf {
  readonly key: string;
  readonly origin: string;
  readonly elems: readonly PathElem[];
  readonly value: Buffer;
  /** Empty: none. */
  readonly atomicRoot: string;
}

class GetAnswer {
  readonly #context: GnmiContext;
  readonly #form: ResponseForm;
  readonly #depth: number;
  readonly #timestamp: bigint;
  readonly #isCancelled: () => boolean;
  readonly #turns: Turns;
  #bytes = 0;

  constructor(context: GnmiContext, form: ResponseForm, depth: number, isCancelled: () => boolean) {
    this.#isCancelled = isCancelled;
    this.#turns = new Turns(context.clock);
    this.#context = context;
    this.#form = form;
    this.#depth = depth;
    this.#timestamp = context.clock.nowNs();
  }

  async encode(paths: readonly Path[], devices: readonly string[]): Promise<Buffer | Refusal> {
    const { gnmiMaxGetBytes } = this.#context.limits;
    const notification: GnmiNotification[] = [];
    for (const path of paths) {
      const coverage = new GnmiCoverage(this.#context.state.store.paths, [path], this.#depth);
      let found = false;
      for (const device of devices) {
        if (this.#turns.isOver) {
          await this.#turns.next();
          if (this.#isCancelled()) return { code: status.CANCELLED, details: 'cancelled by the client' };
        }
        const leaves = this.#covered(coverage, device);
        if (leaves === null) return this.#tooBig();
        if (leaves.length === 0) continue; // with `*`, devices without the path are left out
        found = true;
        notification.push(...this.#notifications(path, coverage, device, leaves));
      }
      if (!found) return { code: status.NOT_FOUND, details: `${formatPath(path)} has no value` }; // G3
    }
    const answer = gnmi.GetResponse.encode({ notification });
    return answer.length > gnmiMaxGetBytes ? this.#tooBig() : answer; // G7
  }

  #tooBig(): Refusal {
    const { gnmiMaxGetBytes } = this.#context.limits;
    const details = `the answer is larger than ${gnmiMaxGetBytes} bytes; use Subscribe with mode ONCE, which sends it in parts`;
    return { code: status.RESOURCE_EXHAUSTED, details };
  }

  /** Null: that is more than fits (A3). */
  #covered(coverage: GnmiCoverage, device: string): CoveredLeaf[] | null {
    const leaves: CoveredLeaf[] = [];
    for (const leaf of leavesInPages(this.#context.state.store, coverage.patterns, device)) {
      if (!coverage.isWithin(leaf.key, () => leaf.elems)) continue;
      if (!this.#fits(leaf, leaves.at(-1)?.key ?? '')) return null;
      leaves.push(leaf);
    }
    if (!coverage.coversAnyHealth()) return leaves;
    const health = encodeHealth(healthValues(this.#context, device)).filter(({ elems }) =>
      coverage.coversHealth(elems),
    );
    return [...leaves, ...health.map((leaf) => ({ ...leaf, origin: defaultOrigin, atomicRoot: '' }))];
  }

  /** JSON says once what a path has in common with the one before, and some values shorter than they are stored. */
  #fits({ key, value }: LeafView, before: string): boolean {
    const isProto = this.#form.values === 'proto';
    const { gnmiMaxGetBytes } = this.#context.limits;
    const pathBytes = isProto ? this.#context.paths.of(key).bytes.length : key.length - commonLength(key, before);
    this.#bytes += pathBytes + value.length + (isProto ? overheadBytes : 0);
    return this.#bytes <= (isProto ? gnmiMaxGetBytes : 2 * gnmiMaxGetBytes);
  }

  #notifications(
    path: Path,
    coverage: GnmiCoverage,
    device: string,
    leaves: readonly CoveredLeaf[],
  ): GnmiNotification[] {
    const { values } = this.#form;
    if (values !== 'proto')
      return [this.#plain(device, this.#form.prefixOrigin, [this.#jsonUpdate(path, leaves, values)])];
    const plain: GnmiUpdate[] = [];
    const groups = new Map<string, CoveredLeaf[]>();
    const ended = new Map<string, boolean>();
    for (const leaf of leaves) {
      const rootKey = leaf.atomicRoot === '' ? null : rootKeyOf(leaf.key, leaf.atomicRoot);
      if (rootKey !== null && !ended.has(rootKey)) {
        ended.set(rootKey, storedGroup(this.#context.state.store, coverage, device, rootKey).kind !== 'whole');
      }
      if (rootKey === null || ended.get(rootKey) === true) {
        plain.push(this.#update(leaf.origin, leaf.elems, leaf.value));
      } else {
        const group = groups.get(rootKey);
        if (group === undefined) groups.set(rootKey, [leaf]);
        else group.push(leaf);
      }
    }
    const notifications = plain.length > 0 ? [this.#plain(device, this.#form.prefixOrigin, plain)] : [];
    for (const group of groups.values()) notifications.push(this.#atomic(device, group));
    return notifications;
  }

  #plain(device: string, origin: string, update: readonly GnmiUpdate[]): GnmiNotification {
    const prefix = this.#prefix(device, origin, []);
    return { timestamp: this.#timestamp, ...prefix, update, delete: [], atomic: false };
  }

  #atomic(device: string, group: readonly CoveredLeaf[]): GnmiNotification {
    const [first] = group;
    const depth = first === undefined ? 0 : this.#context.paths.of(`openconfig:${first.atomicRoot}`).elems.length;
    const origin = this.#form.prefixOrigin === '' ? this.#pathOrigin(first?.origin ?? '') : this.#form.prefixOrigin;
    const update = group.map(({ elems, value }): GnmiUpdate => {
      return { path: { ...rootPath, elems: elems.slice(depth) }, val: value, duplicates: 0 };
    });
    const prefix = this.#prefix(device, origin, first?.elems.slice(0, depth) ?? []);
    return { timestamp: this.#timestamp, ...prefix, update, delete: [], atomic: true };
  }

  #prefix(device: string, origin: string, elems: readonly PathElem[]): { prefix?: Path } {
    const target = this.#form.target === '' ? '' : device; // N4
    return origin === '' && target === '' && elems.length === 0 ? {} : { prefix: { origin, target, elems } };
  }

  #update(origin: string, elems: readonly PathElem[], val: Buffer): GnmiUpdate {
    return { path: { origin: this.#pathOrigin(origin), target: '', elems }, val, duplicates: 0 };
  }

  #jsonUpdate(path: Path, leaves: readonly CoveredLeaf[], form: JsonForm): GnmiUpdate {
    const subtree = leaves.flatMap(({ elems, value }) => {
      const typed = decodeTypedValue(value);
      return typed === null ? [] : [{ elems, value: typed }];
    });
    const { elems, json } = jsonSubtree(path, subtree, form);
    return this.#update(path.origin, elems, encodeTypedValue({ kind: form, value: json }));
  }

  /** The origin as a path says it: where the request did, or must if it is not the default (N4, N7). */
  #pathOrigin(origin: string): string {
    const { prefixOrigin, pathOrigins } = this.#form;
    return prefixOrigin === '' && (origin !== defaultOrigin || pathOrigins.has(origin)) ? origin : '';
  }
}
