/** Entity tags of records and the two preconditions of RFC 9110 that we honour. Pure. */
import { createHash } from 'node:crypto';
import { HoldfastError } from '../core/errors.ts';

export interface Preconditions {
  /** `If-Match` as it came. */
  readonly ifMatch: string | undefined;
  /** `If-None-Match` as it came. */
  readonly ifNoneMatch: string | undefined;
}

/**
 * Strong tag: equal for equal bytes of the stored record, whichever instance answers. What the answer tells beside the
 * record and nobody can write (a device's status) is its second part: a GET is unchanged if both are, a change is refused
 * for the record only.
 */
export function entityTag(encodedRecord: Buffer, beside?: string): string {
  return `"${digest(encodedRecord)}${beside === undefined ? '' : `.${digest(beside)}`}"`;
}

function digest(content: Buffer | string): string {
  return createHash('sha256').update(content).digest('base64url').slice(0, 22);
}

/** Throws `PRECONDITION_FAILED`; `current` is the tag of the record alone, undefined: there is no such record. */
export function requirePreconditions(preconditions: Preconditions, current: string | undefined): void {
  const ifMatch = ofRecord(preconditions.ifMatch);
  const ifNoneMatch = ofRecord(preconditions.ifNoneMatch);
  if (ifMatch !== undefined && !matchesTag(ifMatch, current)) {
    const found = current === undefined ? 'it does not exist' : `the ETag of its record is ${current}`;
    throw new HoldfastError('PRECONDITION_FAILED', `it is not as If-Match says: ${found}; read it again`, {
      facts: { etag: current ?? null },
    });
  }
  if (knowsTag(ifNoneMatch, current)) {
    throw new HoldfastError(
      'PRECONDITION_FAILED',
      `If-None-Match: there is one already, and the ETag of its record is ${current ?? ''}`,
      {
        facts: { etag: current ?? null },
      },
    );
  }
}

function ofRecord(header: string | undefined): string | undefined {
  return header?.replaceAll(/\.[\w-]*"/g, '"');
}

/** For If-None-Match, which compares weakly (RFC 9110): a proxy that compresses answers makes their tags weak. */
export function knowsTag(header: string | undefined, current: string | undefined): boolean {
  return header !== undefined && matchesTag(header.replaceAll('W/"', '"'), current);
}

/** `*` matches whatever exists. A weak tag never matches: our tags are strong. */
function matchesTag(header: string, current: string | undefined): boolean {
  if (current === undefined) return false;
  return header.trim() === '*' || header.split(',').some((tag) => tag.trim() === current);
}
