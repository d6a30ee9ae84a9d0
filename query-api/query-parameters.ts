/**
 * Query parameters that more than one route takes: what they mean and their ranges, said once. Routes read them with
 * the functions of `parameters.ts` and the ranges from here.
 */
import { z } from 'zod';
import { type RequestLimits } from './request-limits.ts';
import { type QueryParameter, type QueryParameters } from './route-description.ts';

export interface Range {
  readonly min: number;
  readonly max: number;
}

export const encodings = ['rfc7951', 'native', 'typed'] as const;
export const stalenessMsRange: Range = { min: 0, max: 86_400_000 };
export const waitMsDefault = 1_000;

export function limitRange({ maxLeaves }: Pick<RequestLimits, 'maxLeaves'>): Range {
  return { min: 1, max: maxLeaves };
}

export function waitMsRange({ maxWaitMs }: Pick<RequestLimits, 'maxWaitMs'>): Range {
  return { min: 0, max: maxWaitMs };
}

function whole(description: string, { min, max }: Range): QueryParameter {
  return { description, schema: z.int().min(min).max(max) };
}

function repeated(description: string, example: string, { maxPaths }: Pick<RequestLimits, 'maxPaths'>): QueryParameter {
  return { description, schema: z.array(z.string()).max(maxPaths), example };
}

export function paging(limits: Pick<RequestLimits, 'maxLeaves'>): QueryParameters {
  return {
    limit: whole(`Most entries in one answer; ${limits.maxLeaves} if left out`, limitRange(limits)),
    next: { description: 'Page token of the answer before, unchanged', schema: z.string() },
  };
}

/** Which leaves. */
export function pathFilter(limits: Pick<RequestLimits, 'maxPaths'>): QueryParameters {
  const path = 'gNMI path; `*` and `...` match anything, keys may be left out; `origin:/…` for other origins';
  return {
    path: repeated(`${path}; everything of openconfig if left out`, '/interfaces/interface/state/oper-status', limits),
  };
}

export const valueEncoding: QueryParameters = {
  encoding: {
    description: 'How values are written: 64-bit numbers as texts, as numbers (may round), or with their gNMI type',
    schema: z.enum(encodings),
  },
};

/** Which devices. */
export function deviceFilter(limits: Pick<RequestLimits, 'maxPaths'>): QueryParameters {
  return { device: repeated('Device by name', 'leaf-1', limits), ...labelFilter(limits) };
}

export function labelFilter(limits: Pick<RequestLimits, 'maxPaths'>): QueryParameters {
  return { label: repeated('Devices with this label, name=value; all that are given must match', 'site=fra', limits) };
}

/** How fresh the answer must be. */
export function freshness(limits: Pick<RequestLimits, 'maxWaitMs'>): QueryParameters {
  return {
    maxStalenessMs: whole('Refuse an answer that may be further behind than this, ms', stalenessMsRange),
    atLeast: { description: 'Cursor of an answer before: this one must not be older', schema: z.string() },
    maxWaitMs: whole(`How long to wait for atLeast, ms; ${waitMsDefault} if left out`, waitMsRange(limits)),
  };
}
