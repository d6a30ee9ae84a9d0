import {
  type CapabilitiesAnswer,
  type DeviceConnection,
  type SubscribeCall,
  type SubscribeListener,
} from './transport.ts';

/** A connection that was up before its session was: what the device offered then is its first answer, at once. */
export class PreparedConnection implements DeviceConnection {
  readonly isPrepared = true;
  readonly #connection: DeviceConnection;
  #answer: CapabilitiesAnswer | null;

  constructor(connection: DeviceConnection, answer: CapabilitiesAnswer) {
    this.#connection = connection;
    this.#answer = answer;
  }

  /** Asked again, the device is asked. */
  capabilities(): Promise<CapabilitiesAnswer> {
    const answer = this.#answer;
    if (answer === null) return this.#connection.capabilities();
    this.#answer = null;
    return Promise.resolve(answer);
  }

  subscribe(request: Buffer, listener: SubscribeListener): SubscribeCall {
    return this.#connection.subscribe(request, listener);
  }

  onLost(listener: () => void): void {
    this.#connection.onLost(listener);
  }

  close(): Promise<void> {
    return this.#connection.close();
  }

  destroy(): void {
    this.#connection.destroy();
  }
}
