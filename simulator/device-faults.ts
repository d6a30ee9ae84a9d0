import { type Clock, type Timer } from '../core/clock.ts';
import { HoldfastError } from '../core/errors.ts';
import { type FleetCertificates } from './certificates.ts';
import { type Conditions } from './conditions.ts';
import { type DeviceServer } from './device-server.ts';
import { type LastingFault } from './fault.ts';

/**
 * Faults that last: begun, perhaps ended by their own time, and ended all together by `clear`. A second one of the same
 * kind replaces the first.
 */
export interface FaultTargets {
  readonly conditions: Conditions;
  readonly server: DeviceServer;
  /** Null: the device speaks plaintext. */
  certificates(): FleetCertificates | null;
  readonly clock: Clock;
  /** Ends every standing RPC with the refusal now in force. */
  refuseStreams(): void;
  /** A stall is over: answers what waited. */
  stallEnded(): void;
}

type Kind = LastingFault['kind'];
type End = () => void | Promise<void>;

export class DeviceFaults {
  readonly #targets: FaultTargets;
  readonly #lasting = new Map<Kind, { readonly end: End; readonly timer: Timer | null }>();

  constructor(targets: FaultTargets) {
    this.#targets = targets;
  }

  active(): readonly Kind[] {
    return [...this.#lasting.keys()];
  }

  /** In force when it resolves. */
  async begin(fault: LastingFault): Promise<void> {
    await this.#end(fault.kind);
    const end = await this.#start(fault);
    const timer =
      fault.forMs === undefined ? null : this.#targets.clock.after(fault.forMs, () => void this.#end(fault.kind));
    this.#lasting.set(fault.kind, { end, timer });
  }

  async clear(): Promise<void> {
    for (const kind of this.active()) await this.#end(kind);
  }

  async #end(kind: Kind): Promise<void> {
    const lasting = this.#lasting.get(kind);
    if (lasting === undefined) return;
    this.#lasting.delete(kind);
    lasting.timer?.cancel();
    await lasting.end();
  }

  /** Returns what ends it again. */
  #start(fault: LastingFault): End | Promise<End> {
    const { conditions, server } = this.#targets;
    switch (fault.kind) {
      case 'flap':
        return this.#flap(fault.everyMs, fault.times ?? Infinity);
      case 'refuse':
        return server.listener.close().then(() => () => server.open());
      case 'garbage':
      case 'silent':
        server.treat(fault.kind);
        return () => server.treat('serve');
      case 'certificate':
        return this.#certificate(fault.which);
      case 'status': {
        const end = this.#set({ refusal: { code: fault.code, details: fault.message } });
        this.#targets.refuseStreams();
        return end;
      }
      case 'stall':
        conditions.stalled = true;
        return () => {
          conditions.stalled = false;
          this.#targets.stallEnded();
        };
      case 'freeze':
        return this.#set({ frozen: true });
      case 'unsynced':
        return this.#set({ unsynced: true });
      case 'no-capabilities':
        return this.#set({ noCapabilities: true });
      case 'limit':
        return this.#set({ streamsMax: fault.streams });
      case 'huge-walks':
        return this.#set({ hugeBytes: fault.bytes });
      case 'encoding':
        return this.#set({ offers: fault.offers ?? conditions.offers, sends: fault.sends ?? null });
    }
  }

  #set(changed: Partial<Conditions>): End {
    const { conditions } = this.#targets;
    const before = { ...conditions };
    Object.assign(conditions, changed);
    return () => {
      for (const name of Object.keys(changed) as (keyof Conditions)[])
        Object.assign(conditions, { [name]: before[name] });
    };
  }

  #flap(everyMs: number, times: number): End {
    const { clock, server } = this.#targets;
    let left = times;
    const timer = clock.every(everyMs, () => {
      left -= 1;
      server.listener.reset();
      if (left <= 0) timer.cancel();
    });
    return () => timer.cancel();
  }

  #certificate(which: 'expired' | 'misnamed' | 'untrusted'): End {
    const { server } = this.#targets;
    const certificates = this.#targets.certificates();
    const before = server.tls;
    if (before === null || certificates === null) {
      throw new HoldfastError('PARAMETER_INVALID', 'the device speaks plaintext: it has no certificate to show');
    }
    const shown = { expired: 'expiredServer', misnamed: 'misnamedServer', untrusted: 'untrustedServer' } as const;
    server.tls = { ...before, certificate: certificates[shown[which]] };
    server.listener.reset();
    return () => {
      server.tls = before;
      server.listener.reset();
    };
  }
}
