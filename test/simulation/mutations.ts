/**
 * The control runs of the simulation: each switches one rule of the lock off, in a copy of the source, and must break a
 * named invariant. `seed` is the one that found it; a simulation that cannot see a missing rule proves nothing of it.
 */
export interface Edit {
  readonly file: string;
  /** Must stand in the file exactly once. */
  readonly find: string;
  readonly replace: string;
}

export interface Mutation {
  readonly name: string;
  /** The invariant that the run must find broken; any of these. */
  readonly breaks: readonly string[];
  readonly edits: readonly Edit[];
  readonly seed: number;
  /** Only these faults, where a rule is about one thing that random schedules seldom hit. */
  readonly only?: readonly string[];
}

const lease = 'core/kafka/lease.ts';
/** The register backs the barrier up: whoever stands in it unreleased keeps others off. Off with it, or nothing is seen. */
const registerIgnored: Edit = {
  file: 'core/kafka/claim.ts',
  find: '  if (!directory.has(stored.memberId)) return false;\n',
  replace: '  if (directory.size >= 0) return false;\n',
};
const worker = 'core/kafka/lock-worker.ts';
const faults = 'test/simulation/faults.ts';

export const mutations: readonly Mutation[] = [
  {
    name: 'lease without guard',
    breaks: ['O1'],
    edits: [{ file: lease, find: ') - timers.guardMs\n', replace: ')\n' }],
    only: ['late-timers', 'cut-off', 'answers-vanish'],
    seed: 127,
  },
  {
    name: 'lease from the answer instead of the sending',
    breaks: ['O1'],
    edits: [
      {
        file: worker,
        find: "this.#dispatch({ kind: 'accepted', proof, sentAtMs });",
        replace:
          "this.#dispatch({ kind: 'accepted', proof, sentAtMs: Math.max(sentAtMs, this.#options.clock.monotonicMs()) });",
      },
    ],
    only: ['slow-network', 'cut-off', 'requests-vanish'],
    seed: 168,
  },
  {
    name: 'rebalance timeout left out of the lease',
    breaks: ['O1'],
    edits: [{ file: lease, find: '      lease.joinedAtMs + timers.rebalanceTimeoutMs,\n', replace: '' }],
    only: ['joins-vanish', 'join', 'wish'],
    seed: 10,
  },
  {
    name: 'lease without proof of the coordinator (C1)',
    breaks: ['O1'],
    edits: [{ file: lease, find: '      lease.coordinatorAtMs + timers.sessionTimeoutMs,\n', replace: '' }],
    only: ['coordinator-superseded'],
    seed: 1,
  },
  {
    name: 'sessions are kept when the lease ends',
    breaks: ['O1'],
    edits: [
      {
        file: 'core/kafka/worker-state.ts',
        find: 'const endLease = (): WorkerStep => to(closing, dropAll, forget, leave);',
        replace: 'const endLease = (): WorkerStep => to(closing, forget, leave);',
      },
    ],
    seed: 3,
  },
  {
    name: 'no freeze rule',
    breaks: ['O1', 'O7'],
    edits: [
      { file: worker, find: '        this.#slots.freeze();\n', replace: '' },
      { file: worker, find: "this.#state.kind === 'member' && this.leaseLive(),", replace: 'this.leaseLive(),' },
    ],
    seed: 9,
  },
  {
    name: 'no release barrier',
    breaks: ['O1', 'O4'],
    edits: [
      registerIgnored,
      { file: 'core/kafka/start-rule.ts', find: 'if (entry.prev === 0) return true;', replace: 'return true;' },
    ],
    seed: 13,
  },
  {
    name: 'claims of other members are ignored (C3)',
    breaks: ['O1'],
    edits: [registerIgnored],
    only: ['loss', 'slow-network', 'coordinator-crash', 'wish', 'stop'],
    seed: 133,
  },
  {
    name: 'joining while sessions are still closing',
    breaks: ['O12'],
    edits: [
      { file: worker, find: '    if (!this.#slots.anyLost()) {', replace: '    {' },
      { file: worker, find: '    while (this.#slots.anyLost()) {', replace: '    while (this.#nonce < 0) {' },
    ],
    only: ['freeze', 'cut-off', 'coordinator-crash'],
    seed: 8,
  },
  {
    name: 'epoch without floors',
    breaks: ['O3'],
    edits: [
      {
        file: 'core/kafka/claim.ts',
        find: 'return seen.reduce((floor, epoch) => (epoch >= floor ? epoch + 1n : floor), BigInt(Math.trunc(nowMs)));',
        replace: 'return BigInt(Math.trunc(nowMs)) + BigInt(seen.length) * 0n;',
      },
    ],
    seed: 1,
  },
  {
    name: 'epoch from the generation',
    breaks: ['O3'],
    edits: [
      {
        file: 'core/kafka/acquisition.ts',
        find: 'return { epoch: nextEpoch(seen, clock.nowMs()),',
        replace: 'return { epoch: BigInt(member.generation) + BigInt(seen.length + clock.nowMs()) * 0n,',
      },
    ],
    only: ['all-die', 'kill', 'register-lost'],
    seed: 4,
  },
  {
    name: 'a register that was lost is not looked for in the logs (C6)',
    breaks: ['O3'],
    edits: [
      {
        file: 'core/kafka/acquisition.ts',
        find: '  if (lost.length === 0) return new Map();',
        replace: '  if (lost.length >= 0) return new Map();',
      },
      {
        file: 'core/kafka/acquisition.ts',
        find: 'const seen = [stored?.epoch, record?.epoch, floor,',
        replace: 'const seen = [stored?.epoch, floor,',
      },
    ],
    seed: 35,
  },
  {
    name: 'a timeout passes for evidence',
    breaks: ['O1'],
    edits: [
      {
        file: faults,
        find: "  cut('cut-off', 3, ({ path }, on) => {",
        replace:
          "  cut('cut-off', 3, ({ path, peers }, on, _random, world) => {\n    if (on) for (const other of world.alive) if (other.path !== path) other.peers.accuse({ peers } as SimulatedWorker);",
      },
    ],
    only: ['cut-off'],
    seed: 1,
  },
  {
    name: 'sent again under a new producer id with new positions',
    breaks: ['O5'],
    edits: [
      {
        file: 'test/simulation/simulated-partition.ts',
        find: '    this.#reinitsAtMs.push(nowMs);\n',
        replace:
          '    this.#reinitsAtMs.push(nowMs);\n    for (const batch of this.#queues.telemetry.waiting) {\n      for (const record of batch.numbered) Object.assign(record, { seq: (this.lastSeq += 1n) });\n    }\n',
      },
    ],
    only: ['false-evidence', 'slow-network', 'loss'],
    seed: 324,
  },
  {
    name: 'no heal rule',
    breaks: ['O15'],
    edits: [
      {
        file: worker,
        find: '    slotLowered: (best) => this.#slots.heal(best),',
        replace: '    slotLowered: () => undefined,',
      },
      {
        file: worker,
        find: '    planLowered: (best) => this.#leadership.planLowered(best),',
        replace: '    planLowered: () => undefined,',
      },
    ],
    only: ['compaction', 'freeze', 'cut-off', 'slow-network', 'ownership-away', 'loss'],
    seed: 95,
  },
  {
    name: 'fenced writer off: the broker takes whatever comes',
    breaks: ['O4', 'O5'],
    edits: [{ file: 'test/simulation/simulated-partition.ts', find: '  fenced = true;', replace: '  fenced = false;' }],
    only: ['late-batches', 'freeze', 'cut-off'],
    seed: 10,
  },
  {
    name: 'heartbeats of a former member go on',
    breaks: ['O16'],
    edits: [
      {
        file: 'core/kafka/worker-state.ts',
        find: "{ ...state, phase: 'join-pending' }, forget, joinAsNew)",
        replace: "{ ...state, phase: 'join-pending' }, joinAsNew)",
      },
    ],
    only: ['coordinator-superseded', 'slow-network', 'freeze', 'loss'],
    seed: 49,
  },
  {
    name: 'a pause of the machine ages nothing (L-5)',
    breaks: ['O1'],
    edits: [
      {
        file: lease,
        find: "  return { kind: 'stalled', lostMs: Math.max(0, driftMs) };",
        replace: "  return { kind: 'stalled', lostMs: Math.max(0, driftMs) * 0 };",
      },
      { file: lease, find: '  if (sentAtMs < lease.stalledAtMs) return lease; // L-5\n', replace: '' },
    ],
    only: ['suspend', 'coordinator-superseded'],
    seed: 92,
  },
];
