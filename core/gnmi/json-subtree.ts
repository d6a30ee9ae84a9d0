/**
 * The leaves below one path of a request as one JSON value (G5): a container as an object, a leaf as its bare value.
 * Under wildcards the object begins at the root, because there is no one node it could stand at.
 */
import { type Path, type PathElem } from '../../schemas/path.ts';
import { hasWildcard } from '../../schemas/path-pattern.ts';
import { type TypedValue } from '../../schemas/value.ts';
import { formatJsonTree } from './json-tree.ts';
import { jsonBytes, type JsonForm } from './value-form.ts';

export interface SubtreeLeaf {
  readonly elems: readonly PathElem[];
  readonly value: TypedValue;
}

export interface JsonSubtree {
  /** Where the value stands. */
  readonly elems: readonly PathElem[];
  readonly json: Buffer;
}

/** `leaves`: all of them covered by `asked`, at least one. */
export function jsonSubtree(asked: Path, leaves: readonly SubtreeLeaf[], form: JsonForm): JsonSubtree {
  const exact = leaves.every((leaf) => isNodeOf(asked, leaf.elems));
  const depth = exact ? asked.elems.length : 0;
  const text = formatJsonTree(
    leaves.map(({ elems, value }) => ({ elems: elems.slice(depth), json: jsonBytes(value, form).toString() })),
  );
  return { elems: exact ? asked.elems : [], json: Buffer.from(text) };
}

/** Names one node, above or at the leaf: no wildcards, and lists are given with their keys. */
function isNodeOf(asked: Path, leaf: readonly PathElem[]): boolean {
  if (hasWildcard(asked.elems)) return false;
  return asked.elems.every(({ name, keys }, at) => name === leaf[at]?.name && keys.size === leaf[at].keys.size);
}
