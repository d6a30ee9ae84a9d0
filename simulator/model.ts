import { formatPath, parsePath, type Path } from '../schemas/path.ts';
import { blob, choice, constant, everyKind, gauge, hashText, type LeafValue, text, timeNs } from './leaf-value.ts';
import { encodeElems } from '../core/gnmi/wire-path.ts';

/**
 * The tree that every simulated device has: OpenConfig-shaped paths, how each value changes, and the encoded path of
 * each leaf. One model serves all devices of a fleet; what differs per device is in `device-tree.ts`.
 *
 * M1. Leaf 0 is `/simulator/state/sequence`: it opens every tick, and what tests count.
 * M2. Leaves of an atomic container are only sent with it, under its prefix, never in a tick.
 */
export interface LeafShape {
  readonly index: number;
  /** Origin openconfig. */
  readonly path: Path;
  /** Canonical text with origin: the key of the truth. */
  readonly text: string;
  readonly hash: number;
  /** The elems as encoded in a gNMI path: relative to the container's prefix for a leaf of one. */
  readonly elems: Buffer;
  readonly value: LeafValue;
  /** Set for counters, which have a faster way through the encoder. */
  readonly counter: 'small' | 'big' | null;
  /** Holds JSON of the plain kind, which may not share a message with JSON_IETF (E8). */
  readonly plainJson: boolean;
  /** busy: in the ticks' round; calm: now and then; still: only by request. */
  readonly pace: 'busy' | 'calm' | 'still';
  /** Number of the atomic container it belongs to, or -1. */
  readonly container: number;
}

export interface AtomicContainer {
  readonly index: number;
  readonly path: Path;
  readonly elems: Buffer;
  readonly leaves: readonly number[];
  /** The leaf that is only there in every second generation. */
  readonly optionalLeaf: number;
}

export interface Model {
  readonly interfaces: readonly string[];
  readonly leaves: readonly LeafShape[];
  readonly busy: readonly number[];
  readonly calm: readonly number[];
  readonly containers: readonly AtomicContainer[];
}

export interface ModelSize {
  readonly interfaces: number;
  readonly blobBytes: number;
}

export const sequenceText = 'openconfig:/simulator/state/sequence';

type LeafSpec = Pick<LeafShape, 'value' | 'pace'> & { readonly counter?: 'small' | 'big' };

const counter = (size: 'small' | 'big'): LeafSpec => ({
  value: constant({ kind: 'bool', value: false }),
  pace: 'busy',
  counter: size,
});
const busy = (value: LeafValue): LeafSpec => ({ value, pace: 'busy' });
const calm = (value: LeafValue): LeafSpec => ({ value, pace: 'calm' });
const still = (value: LeafValue): LeafSpec => ({ value, pace: 'still' });
const says = (value: string): LeafSpec => still(constant({ kind: 'string', value }));

export function createModel(size: ModelSize): Model {
  const builder = new ModelBuilder();
  builder.add('/simulator/state', {
    sequence: still(constant({ kind: 'uint', value: 0n })), // M1: its value is the tree's own sequence
    name: still(text((identity) => identity.name)),
  });
  const interfaces = Array.from({ length: size.interfaces }, (_, index) => `Ethernet1/${index + 1}`);
  interfaces.forEach((name, index) => builder.add(`/interfaces/interface[name=${name}]`, interfaceLeaves(name, index)));
  for (const octet of [1, 2, 3]) {
    const address = `192.0.2.${octet}`;
    const bgp = '/network-instances/network-instance[name=default]/protocols/protocol[identifier=BGP][name=bgp]/bgp';
    builder.add(`${bgp}/neighbors/neighbor[neighbor-address=${address}]`, neighborLeaves(address));
  }
  for (const name of ['CHASSIS', 'CPU0', 'FAN0', 'PSU0'])
    builder.add(`/components/component[name=${name}]`, componentLeaves(name));
  builder.add(
    '/simulator/values',
    Object.fromEntries(Object.entries(everyKind).map(([name, value]) => [name, everyKindSpec(name, value)])),
  );
  builder.add('/network-instances/network-instance[name=default]', { afts: calm(blob(size.blobBytes)) });
  builder.addContainer('/system/alarms/alarm[id=TEMP-1]/state', alarmLeaves, 'text');
  return builder.build(interfaces);
}

/** The leaves that hold JSON of the plain kind stay still: one message does not mix JSON and JSON_IETF (E8). */
function everyKindSpec(name: string, value: LeafValue): LeafSpec {
  return name === 'json' || name === 'empty-leaflist' ? still(value) : calm(value);
}

function interfaceLeaves(name: string, index: number): Record<string, LeafSpec> {
  const big = new Set(['in-octets', 'out-octets']);
  const counters = ['in-octets', 'out-octets', 'in-pkts', 'out-pkts', 'in-unicast-pkts', 'out-unicast-pkts'].concat([
    'in-multicast-pkts',
    'out-multicast-pkts',
    'in-broadcast-pkts',
    'out-broadcast-pkts',
    'in-errors',
    'in-discards',
  ]);
  return {
    'state/name': says(name),
    'state/type': says('iana-if-type:ethernetCsmacd'),
    'state/admin-status': says('UP'),
    'state/oper-status': calm(choice('UP', 'DOWN')),
    'state/description': still(text((identity) => `link ${index + 1} of ${identity.name}`)),
    'state/mtu': still(constant({ kind: 'uint', value: 9000n })),
    'state/last-change': calm(timeNs),
    ...Object.fromEntries(counters.map((leaf) => [`state/counters/${leaf}`, counter(big.has(leaf) ? 'big' : 'small')])),
  };
}

function neighborLeaves(address: string): Record<string, LeafSpec> {
  return {
    'state/neighbor-address': says(address),
    'state/peer-as': still(constant({ kind: 'uint', value: 4_200_000_001n })),
    'state/session-state': calm(choice('ESTABLISHED', 'IDLE', 'CONNECT')),
    'state/last-established': calm(timeNs),
    'state/messages/received/UPDATE': counter('small'),
    'state/messages/sent/UPDATE': counter('small'),
  };
}

function componentLeaves(name: string): Record<string, LeafSpec> {
  return {
    'state/name': says(name),
    'state/description': still(text((identity) => `${name} of ${identity.name}`)),
    'state/oper-status': says('ACTIVE'),
    'state/temperature/instant': busy(gauge(30)),
    'state/temperature/max': still(constant({ kind: 'double', value: 51.5 })),
    'state/memory/utilized': counter('small'),
  };
}

const alarmLeaves: Record<string, LeafSpec> = {
  id: says('TEMP-1'),
  resource: says('CHASSIS'),
  text: still((identity, _, version) => ({
    kind: 'string',
    value: `temperature of ${identity.name} is high (${version})`,
  })),
  severity: still(choice('MINOR', 'MAJOR', 'CRITICAL')),
  'time-created': still(timeNs),
};

class ModelBuilder {
  readonly #leaves: LeafShape[] = [];
  readonly #containers: AtomicContainer[] = [];

  add(parent: string, specs: Readonly<Record<string, LeafSpec>>): void {
    for (const [relative, spec] of Object.entries(specs)) {
      this.#leaves.push(leafShape(this.#leaves.length, `openconfig:${parent}/${relative}`, spec));
    }
  }

  addContainer(parent: string, specs: Readonly<Record<string, LeafSpec>>, optional: string): void {
    const path = parsePath(`openconfig:${parent}`);
    const index = this.#containers.length;
    const leaves: number[] = [];
    for (const [name, spec] of Object.entries(specs)) {
      const shape = leafShape(this.#leaves.length, `openconfig:${parent}/${name}`, spec);
      leaves.push(shape.index);
      const elems = encodeElems(shape.path.elems.slice(path.elems.length));
      this.#leaves.push({ ...shape, elems, container: index });
    }
    const optionalLeaf = leaves[Object.keys(specs).indexOf(optional)] ?? -1;
    this.#containers.push({ index, path, elems: encodeElems(path.elems), leaves, optionalLeaf });
  }

  build(interfaces: readonly string[]): Model {
    const inTicks = this.#leaves.filter((leaf) => leaf.container === -1); // M2
    const indexesOf = (pace: LeafShape['pace']): number[] =>
      inTicks.filter((leaf) => leaf.pace === pace).map((leaf) => leaf.index);
    return {
      interfaces,
      leaves: this.#leaves,
      busy: indexesOf('busy'),
      calm: indexesOf('calm'),
      containers: this.#containers,
    };
  }
}

const nobody = { name: '', hash: 0 };

function leafShape(index: number, spelled: string, spec: LeafSpec): LeafShape {
  const path = parsePath(spelled);
  const canonical = formatPath(path);
  return {
    index,
    path,
    text: canonical,
    hash: hashText(canonical),
    elems: encodeElems(path.elems),
    value: spec.value,
    counter: spec.counter ?? null,
    plainJson: spec.value(nobody, 0, 0).kind === 'json',
    pace: spec.pace,
    container: -1,
  };
}

/** A leaf that a scenario adds to one device; it keeps the value it was given. */
export function addedLeaf(index: number, path: Path): LeafShape {
  return leafShape(index, formatPath(path), still(constant({ kind: 'string', value: '' })));
}
