import { type Timer } from '../../core/clock.ts';
import { type JoinProtocol, type SlotCommit } from '../../core/kafka/coordinator.ts';
import { type Slot } from '../../schemas/slot.ts';
import { type VirtualTime } from './virtual-time.ts';

/**
 * One broker's view of the group, as the classic protocol of Apache Kafka 4.3 behaves (GroupMetadataManager,
 * ClassicGroup). A view is in memory; what survives it is in `GroupStore`, written when a leader's SyncGroup or a commit
 * is appended.
 *
 * - A heartbeat is answered NONE in Stable and CompletingRebalance, REBALANCE_IN_PROGRESS in Preparing; all renew S.
 * - While it is loading it answers every heartbeat NONE, blindly, and everything else with an error.
 * - After loading: the last *stored* generation, and a fresh full session for every member of it. A generation that was
 *   never synced is handed out again.
 * - A superseded view goes on answering; only what needs an append (a leader's Sync, a commit) fails.
 */
export type Code =
  | 'NONE'
  | 'MEMBER_ID_REQUIRED'
  | 'UNKNOWN_MEMBER_ID'
  | 'ILLEGAL_GENERATION'
  | 'REBALANCE_IN_PROGRESS'
  | 'INCONSISTENT_GROUP_PROTOCOL'
  | 'NOT_COORDINATOR'
  | 'COORDINATOR_LOAD_IN_PROGRESS';

export interface JoinReply {
  readonly code: Code;
  readonly memberId: string;
  readonly generation: number;
  readonly leader: string;
  readonly members: readonly { readonly memberId: string; readonly report: Buffer }[];
}

export interface StoredMember {
  readonly memberId: string;
  readonly protocols: readonly JoinProtocol[];
  readonly assignment: Buffer;
}

export class GroupStore {
  generation = 0;
  leader = '';
  members: readonly StoredMember[] = [];
  readonly registers = new Map<Slot, SlotCommit>();

  /** The group was empty for so long that nothing of it is left. */
  forget(): void {
    this.generation = 0;
    this.leader = '';
    this.members = [];
    this.registers.clear();
  }
}

interface Member {
  readonly memberId: string;
  protocols: readonly JoinProtocol[];
  assignment: Buffer;
  joining: ((reply: JoinReply) => void) | null;
  syncing: ((code: Code, assignment: Buffer) => void) | null;
  expiry: Timer | null;
  synced: boolean;
}

export interface GroupTimers {
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
}

/** What the checks of the simulation want to see of a view. */
export interface GroupWitness {
  /** A generation was formed of these members, with the reports they joined with. */
  formed(generation: number, members: readonly { readonly memberId: string; readonly report: Buffer }[]): void;
  /** An append of the register was accepted. */
  committed(memberId: string, commit: SlotCommit): void;
  /** LeaveGroup of this member was accepted, whoever sent it. */
  left(memberId: string): void;
}

const nothing = Buffer.alloc(0);

export class GroupView {
  readonly #time: VirtualTime;
  readonly #store: GroupStore;
  readonly #timers: GroupTimers;
  readonly #witness: GroupWitness;
  readonly #members = new Map<string, Member>();
  readonly #pendingIds = new Set<string>();
  #state: 'loading' | 'empty' | 'preparing' | 'completing' | 'stable' = 'loading';
  #generation = 0;
  #leader = '';
  #rebalance: Timer | null = null;
  #pendingSync: Timer | null = null;
  readonly #serial: () => number;
  /** What a superseded view knows of the registers: nothing newer reaches it. */
  #stale: Map<Slot, SlotCommit> | null = null;

  constructor(
    time: VirtualTime,
    store: GroupStore,
    timers: GroupTimers,
    witness: GroupWitness,
    serial: () => number,
    loadMs: number,
  ) {
    this.#time = time;
    this.#store = store;
    this.#timers = timers;
    this.#witness = witness;
    this.#serial = serial;
    if (loadMs === 0) this.#load();
    else time.after(loadMs, () => this.#load());
  }

  /** Its broker is cut off from the others: another view counts. */
  get superseded(): boolean {
    return this.#stale !== null;
  }

  supersede(): void {
    this.#stale = new Map(this.#store.registers);
  }

  get isEmpty(): boolean {
    return this.#state === 'empty' && this.#pendingIds.size === 0;
  }

  get isPreparing(): boolean {
    return this.#state === 'preparing';
  }

  get leader(): string {
    return this.#leader;
  }

  has(memberId: string): boolean {
    return this.#members.has(memberId);
  }

  join(memberId: string, protocols: readonly JoinProtocol[], reply: (reply: JoinReply) => void): void {
    const refuse = (code: Code, id = memberId): void =>
      reply({ code, memberId: id, generation: -1, leader: '', members: [] });
    if (this.#state === 'loading') {
      refuse('COORDINATOR_LOAD_IN_PROGRESS');
      return;
    }
    if (memberId === '') {
      const id = `m${this.#serial()}`;
      this.#pendingIds.add(id);
      this.#time.after(this.#timers.sessionTimeoutMs, () => this.#dropPending(id));
      refuse('MEMBER_ID_REQUIRED', id);
      return;
    }
    const known = this.#members.get(memberId);
    if (known === undefined && !this.#pendingIds.has(memberId)) {
      refuse('UNKNOWN_MEMBER_ID');
      return;
    }
    const others = [...this.#members.values()].filter((member) => member.memberId !== memberId);
    if (others.length > 0 && namesCommonTo([...others.map((member) => member.protocols), protocols]).length === 0) {
      refuse('INCONSISTENT_GROUP_PROTOCOL');
      return;
    }
    if (known === undefined) {
      this.#pendingIds.delete(memberId);
      const member: Member = {
        memberId,
        protocols,
        assignment: nothing,
        joining: reply,
        syncing: null,
        expiry: null,
        synced: false,
      };
      this.#members.set(memberId, member);
      if (this.#leader === '') this.#leader = memberId;
      this.#prepare();
      return;
    }
    const same = sameProtocols(known.protocols, protocols);
    const rejoins =
      this.#state === 'preparing' ||
      !same ||
      (this.#state === 'stable' && memberId === this.#leader) ||
      this.#state === 'empty';
    known.protocols = protocols;
    if (!rejoins) {
      reply(this.#joinReply(known));
      return;
    }
    known.joining = reply;
    this.#prepare();
  }

  sync(
    memberId: string,
    generation: number,
    assignments: ReadonlyMap<string, Buffer> | null,
    reply: (code: Code, assignment: Buffer) => void,
  ): void {
    const member = this.#members.get(memberId);
    if (this.#state === 'loading') reply('COORDINATOR_LOAD_IN_PROGRESS', nothing);
    else if (member === undefined) reply('UNKNOWN_MEMBER_ID', nothing);
    else if (generation !== this.#generation) reply('ILLEGAL_GENERATION', nothing);
    else if (this.#state === 'preparing' || this.#state === 'empty') reply('REBALANCE_IN_PROGRESS', nothing);
    else if (this.#state === 'stable') {
      this.#renew(member);
      reply('NONE', member.assignment);
    } else {
      member.syncing = reply;
      member.synced = true;
      if (memberId === this.#leader && assignments !== null) this.#synced(assignments);
    }
  }

  heartbeat(memberId: string, generation: number): Code {
    if (this.#state === 'loading') return 'NONE'; // blindly
    const member = this.#members.get(memberId);
    if (member === undefined) return 'UNKNOWN_MEMBER_ID';
    if (generation !== this.#generation) return 'ILLEGAL_GENERATION';
    this.#renew(member);
    return this.#state === 'preparing' ? 'REBALANCE_IN_PROGRESS' : 'NONE';
  }

  commit(memberId: string, generation: number, commits: readonly SlotCommit[]): Code {
    if (this.#state === 'loading') return 'COORDINATOR_LOAD_IN_PROGRESS';
    const member = this.#members.get(memberId);
    if (member === undefined) return 'UNKNOWN_MEMBER_ID';
    if (generation !== this.#generation) return 'ILLEGAL_GENERATION';
    if (this.#state === 'completing') return 'REBALANCE_IN_PROGRESS';
    if (this.superseded) return 'NOT_COORDINATOR'; // the append is not replicated
    this.#renew(member);
    for (const commit of commits) {
      this.#store.registers.set(commit.slot, commit);
      this.#witness.committed(memberId, commit);
    }
    return 'NONE';
  }

  fetch(slots: readonly Slot[]): Map<Slot, SlotCommit> | null {
    if (this.#state === 'loading') return null;
    return new Map([...(this.#stale ?? this.#store.registers)].filter(([slot]) => slots.includes(slot)));
  }

  leave(memberId: string): Code {
    if (this.#state === 'loading') return 'COORDINATOR_LOAD_IN_PROGRESS';
    if (this.#pendingIds.delete(memberId)) {
      this.#maybeComplete();
      return 'NONE';
    }
    const member = this.#members.get(memberId);
    if (member === undefined) return 'UNKNOWN_MEMBER_ID';
    this.#witness.left(memberId);
    this.#remove(member);
    return 'NONE';
  }

  /** Its broker is dead: no timer of it runs any more. */
  end(): void {
    this.#rebalance?.cancel();
    this.#pendingSync?.cancel();
    for (const member of this.#members.values()) member.expiry?.cancel();
    this.#members.clear();
    this.#state = 'loading';
  }

  #load(): void {
    const { generation, leader, members } = this.#store;
    this.#generation = generation;
    this.#leader = leader;
    this.#state = members.length === 0 ? 'empty' : 'stable';
    for (const { memberId, protocols, assignment } of members) {
      const member: Member = {
        memberId,
        protocols,
        assignment,
        joining: null,
        syncing: null,
        expiry: null,
        synced: true,
      };
      this.#members.set(memberId, member);
      this.#renew(member);
    }
  }

  #joinReply(member: Member): JoinReply {
    const leads = member.memberId === this.#leader;
    return {
      code: 'NONE',
      memberId: member.memberId,
      generation: this.#generation,
      leader: this.#leader,
      members: leads ? this.#reports() : [],
    };
  }

  #reports(): { memberId: string; report: Buffer }[] {
    const members = [...this.#members.values()];
    const names = namesCommonTo(members.map(({ protocols }) => protocols));
    const votes = new Map<string, number>();
    for (const { protocols } of members) {
      const vote = protocols.find(({ name }) => names.includes(name))?.name ?? '';
      votes.set(vote, (votes.get(vote) ?? 0) + 1);
    }
    const [picked] = [...votes].reduce((best, entry) => (entry[1] > best[1] ? entry : best));
    return members.map(({ memberId, protocols }) => ({
      memberId,
      report: protocols.find(({ name }) => name === picked)?.report ?? nothing,
    }));
  }

  #renew(member: Member): void {
    member.expiry?.cancel();
    member.expiry = this.#time.after(this.#timers.sessionTimeoutMs, () => this.#expire(member));
  }

  #expire(member: Member): void {
    if (this.#members.get(member.memberId) !== member) return;
    // Who waits for an answer of ours is there.
    if (member.joining !== null || member.syncing !== null) this.#renew(member);
    else this.#remove(member);
  }

  #dropPending(id: string): void {
    if (this.#pendingIds.delete(id)) this.#maybeComplete();
  }

  #remove(member: Member): void {
    member.expiry?.cancel();
    this.#members.delete(member.memberId);
    member.joining?.({
      code: 'UNKNOWN_MEMBER_ID',
      memberId: member.memberId,
      generation: -1,
      leader: '',
      members: [],
    });
    member.syncing?.('UNKNOWN_MEMBER_ID', nothing);
    if (this.#leader === member.memberId) this.#leader = [...this.#members.keys()][0] ?? '';
    if (this.#state === 'stable' || this.#state === 'completing') this.#prepare();
    else this.#maybeComplete();
  }

  #prepare(): void {
    if (this.#state === 'completing') {
      for (const member of this.#members.values()) {
        member.assignment = nothing;
        member.syncing?.('REBALANCE_IN_PROGRESS', nothing);
        member.syncing = null;
        this.#renew(member);
      }
    }
    if (this.#state !== 'preparing') {
      this.#pendingSync?.cancel();
      this.#state = 'preparing';
      this.#rebalance?.cancel();
      this.#rebalance = this.#time.after(this.#timers.rebalanceTimeoutMs, () => this.#complete());
    }
    this.#maybeComplete();
  }

  #maybeComplete(): void {
    if (this.#state !== 'preparing') return;
    const all = [...this.#members.values()].every(({ joining }) => joining !== null);
    if (all && this.#pendingIds.size === 0) this.#complete();
  }

  #complete(): void {
    this.#rebalance?.cancel();
    for (const member of [...this.#members.values()]) {
      if (member.joining !== null) continue;
      member.expiry?.cancel();
      this.#members.delete(member.memberId);
    }
    this.#generation += 1;
    if (!this.#members.has(this.#leader)) this.#leader = [...this.#members.keys()][0] ?? '';
    if (this.#members.size === 0) {
      this.#state = 'empty';
      this.#store_([]);
      return;
    }
    this.#state = 'completing';
    const reports = this.#reports();
    if (!this.superseded) this.#witness.formed(this.#generation, reports);
    for (const member of this.#members.values()) {
      const reply = member.joining;
      member.joining = null;
      member.synced = false;
      this.#renew(member);
      reply?.(this.#joinReply(member));
    }
    this.#pendingSync?.cancel();
    this.#pendingSync = this.#time.after(this.#timers.rebalanceTimeoutMs, () => {
      for (const member of [...this.#members.values()]) if (!member.synced) this.#remove(member);
    });
  }

  #synced(assignments: ReadonlyMap<string, Buffer>): void {
    if (this.superseded) {
      for (const member of this.#members.values()) {
        member.syncing?.('NOT_COORDINATOR', nothing);
        member.syncing = null;
      }
      return;
    }
    this.#pendingSync?.cancel();
    this.#state = 'stable';
    for (const member of this.#members.values()) {
      member.assignment = assignments.get(member.memberId) ?? nothing;
      member.syncing?.('NONE', member.assignment);
      member.syncing = null;
      this.#renew(member);
    }
    this.#store_([...this.#members.values()]);
  }

  #store_(members: readonly Member[]): void {
    if (this.superseded) return;
    this.#store.generation = this.#generation;
    this.#store.leader = this.#leader;
    this.#store.members = members.map(({ memberId, protocols, assignment }) => ({ memberId, protocols, assignment }));
  }
}

function namesCommonTo(all: readonly (readonly JoinProtocol[])[]): string[] {
  const [first = []] = all;
  return first.map(({ name }) => name).filter((name) => all.every((one) => one.some((other) => other.name === name)));
}

function sameProtocols(a: readonly JoinProtocol[], b: readonly JoinProtocol[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ name, report }, index) => name === b[index]?.name && report.equals(b[index].report))
  );
}
