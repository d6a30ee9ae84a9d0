import { status } from '@grpc/grpc-js';
import { jsonSubtree } from '../core/gnmi/json-subtree.ts';
import { isRefusal, type Refusal } from '../core/gnmi/refusal.ts';
import { joinedPath, responseForm } from '../core/gnmi/response-form.ts';
import { type JsonForm } from '../core/gnmi/value-form.ts';
import { gnmi, type GetRequest, type GnmiNotification } from '../schemas/gnmi.ts';
import { formatPath, type Path } from '../schemas/path.ts';
import { encodeTypedValue } from '../schemas/value.ts';
import { type DeviceTree } from './device-tree.ts';
import { type DeviceLimits } from './device-form.ts';
import { leafFilter } from './leaf-filter.ts';

/** Answers a Get: one notification per path, in order (G1), of one moment (G2). */
export function answerGet(tree: DeviceTree, limits: DeviceLimits, request: GetRequest): Buffer | Refusal {
  if (request.type !== 'ALL') return { code: status.UNIMPLEMENTED, details: `type ${request.type} is not supported` }; // G4
  if (request.useModels.length > 0) return { code: status.UNIMPLEMENTED, details: 'use_models is not supported' }; // E9
  const form = responseForm(request.prefix, request.path, request.encoding, limits.offers);
  if (isRefusal(form)) return form;
  const values = limits.sends ?? form.values;
  const asked: readonly Path[] = request.path.length === 0 ? [{ origin: '', target: '', elems: [] }] : request.path;
  const timestamp = tree.stampNs();
  const target = request.prefix?.target ?? '';
  const prefix: Path = {
    origin: request.prefix?.origin ?? '',
    target: target === '*' ? limits.deviceName : target,
    elems: [],
  };
  const notification: GnmiNotification[] = [];
  for (const path of asked) {
    const full = joinedPath(request.prefix, path);
    const leaves = coveredLeaves(tree, full);
    if (leaves.length === 0) return { code: status.NOT_FOUND, details: `${formatPath(full)} has no value` }; // G3
    const update =
      values === 'proto'
        ? leafUpdates(tree, leaves, path.origin)
        : [jsonUpdate(tree, full, leaves, values, path.origin)];
    notification.push({ timestamp, ...(hasContent(prefix) ? { prefix } : {}), update, delete: [], atomic: false });
  }
  return gnmi.GetResponse.encode({ notification });
}

function hasContent(prefix: Path): boolean {
  return prefix.origin !== '' || prefix.target !== '';
}

function coveredLeaves(tree: DeviceTree, path: Path): number[] {
  const filter = leafFilter(tree.model, formatPath(path), [path]);
  const leaves: number[] = [];
  for (let index = 0; index < tree.leafCount; index += 1) {
    if (tree.has(index) && filter.covers(tree.shape(index))) leaves.push(index);
  }
  return leaves;
}

function leafUpdates(tree: DeviceTree, leaves: readonly number[], origin: string): GnmiNotification['update'] {
  return leaves.map((index) => ({
    path: { ...tree.shape(index).path, origin },
    val: encodeTypedValue(tree.value(index)),
    duplicates: 0,
  }));
}

function jsonUpdate(
  tree: DeviceTree,
  asked: Path,
  leaves: readonly number[],
  form: JsonForm,
  origin: string,
): GnmiNotification['update'][number] {
  const subtree = leaves.map((index) => ({ elems: tree.shape(index).path.elems, value: tree.value(index) }));
  const { elems, json } = jsonSubtree(asked, subtree, form);
  return {
    path: { origin, target: '', elems },
    val: encodeTypedValue({ kind: form, value: json }),
    duplicates: 0,
  };
}
