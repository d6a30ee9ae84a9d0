import { type Clock } from '../core/clock.ts';
import { type DeviceState, type DeviceStatus } from '../schemas/status.ts';
import { type DeviceLog } from './slot-writer.ts';
import { type DeviceOffer } from './subscription-plan.ts';

/** The status record of one device: one record per change, nothing while nothing changes. */
export interface StatusChange {
  readonly state: DeviceState;
  readonly address?: string;
  /** Left out: as before; empty: none. */
  readonly code?: string;
  readonly detail?: string;
  /** Left out: no attempt is due. */
  readonly retryInMs?: number;
}

/** A gap that was marked. */
export interface StatusGap {
  readonly code: string;
  readonly detail: string;
  /** Our clock when the first and the last of what is missing came, or may have come; 0: not known. */
  readonly fromNs: bigint;
  readonly toNs: bigint;
}

export class StatusKeeper {
  readonly #log: DeviceLog;
  readonly #clock: Clock;
  #status: DeviceStatus;

  constructor(options: {
    readonly device: string;
    readonly instance: string;
    readonly log: DeviceLog;
    readonly clock: Clock;
    readonly gaps: bigint;
  }) {
    this.#log = options.log;
    this.#clock = options.clock;
    this.#status = {
      device: options.device,
      state: 'unknown',
      sinceNs: 0n,
      instance: options.instance,
      address: '',
      code: '',
      detail: '',
      retryAtNs: 0n,
      gnmiVersion: '',
      encodings: [],
      models: [],
      gaps: options.gaps,
      gapFromNs: 0n,
      gapToNs: 0n,
    };
  }

  get state(): DeviceState {
    return this.#status.state;
  }

  change({ state, address, code, detail, retryInMs }: StatusChange): void {
    const nowNs = this.#clock.nowNs();
    const before = this.#status;
    this.#status = {
      ...before,
      state,
      sinceNs: state === before.state ? before.sinceNs : nowNs,
      address: address ?? before.address,
      code: code ?? before.code,
      detail: detail ?? before.detail,
      retryAtNs: retryInMs === undefined ? 0n : nowNs + BigInt(Math.round(retryInMs)) * 1_000_000n,
    };
    this.#log.status(this.#status);
  }

  /** Written with the next change: a device that says who it is is about to say more. */
  offer({ gnmiVersion, encodings, models }: DeviceOffer): void {
    this.#status = { ...this.#status, gnmiVersion, encodings, models };
  }

  /** One more gap marker, and when what is missing came. */
  gap({ code, detail, fromNs, toNs }: StatusGap): void {
    const gaps = this.#status.gaps + 1n;
    this.#status = { ...this.#status, code, detail, gaps, gapFromNs: fromNs, gapToNs: toNs };
    this.#log.status(this.#status);
  }
}
