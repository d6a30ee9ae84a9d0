import { status } from '@grpc/grpc-js';
import { gnmi, type GetRequest, type GnmiNotification } from '../schemas/gnmi.ts';
import { formatPath, type Path } from '../schemas/path.ts';
import { encodeTypedValue } from '../schemas/value.ts';
import { type DeviceTree } from './device-tree.ts';
import { formatJsonTree } from './json-tree.ts';
import { leafFilter } from './leaf-filter.ts';
import { jsonBytes, type ValueForm } from './notification-encoder.ts';
import { isRefusal, joinedPath, type Refusal, responseForm, type SubscribeLimits } from './subscribe-plan.ts';

/** Answers a Get: one notification per path, in order (G1), of one moment (G2). */
export function answerGet(tree: DeviceTree, limits: SubscribeLimits, request: GetRequest): Buffer | Refusal {
  if (request.type !== 'ALL') return { code: status.UNIMPLEMENTED, details: `type ${request.type} is not supported` }; // G4
  if (request.useModels.length > 0) return { code: status.UNIMPLEMENTED, details: 'use_models is not supported' }; // E9
  const form = responseForm(request.prefix, request.path, request.encoding, limits);
  if (isRefusal(form)) return form;
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
      form.values === 'proto'
        ? leafUpdates(tree, leaves, path.origin)
        : [jsonUpdate(tree, full, leaves, form.values, path.origin)];
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

/** A container as one object, a leaf as its bare value (G5). Under wildcards the object begins at the root. */
function jsonUpdate(
  tree: DeviceTree,
  asked: Path,
  leaves: readonly number[],
  form: Exclude<ValueForm, 'proto'>,
  origin: string,
): GnmiNotification['update'][number] {
  const first = leaves[0] ?? 0;
  const exact = isExact(asked, tree.shape(first).path);
  const depth = exact ? asked.elems.length : 0;
  const text = formatJsonTree(
    leaves.map((index) => ({
      elems: tree.shape(index).path.elems.slice(depth),
      json: jsonBytes(tree.value(index), form).toString(),
    })),
  );
  return {
    path: { origin, target: '', elems: exact ? asked.elems : [] },
    val: encodeTypedValue({ kind: form, value: Buffer.from(text) }),
    duplicates: 0,
  };
}

/** Names one node: no wildcards, and lists are given with their keys. */
function isExact(asked: Path, leaf: Path): boolean {
  return asked.elems.every(
    ({ name, keys }, at) =>
      name === leaf.elems[at]?.name && keys.size === leaf.elems[at].keys.size && ![...keys.values()].includes('*'),
  );
}
