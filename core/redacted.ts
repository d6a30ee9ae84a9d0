import { inspect } from 'node:util';

const placeholder = '[redacted]';

/** A secret that prints as a placeholder in strings, JSON and logs; only `reveal` gives it out. */
export class Redacted {
  readonly #secret: string;

  constructor(secret: string) {
    this.#secret = secret;
  }

  reveal(): string {
    return this.#secret;
  }

  toString(): string {
    return placeholder;
  }

  toJSON(): string {
    return placeholder;
  }

  [inspect.custom](): string {
    return placeholder;
  }
}
