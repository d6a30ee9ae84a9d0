import { type PathElem } from '../../schemas/path.ts';

/**
 * Leaves below a container as one nested JSON object: lists as arrays of objects with the keys as leaves (G5). Values
 * are JSON texts and are copied, never parsed, so 64-bit numbers survive.
 */
export interface JsonLeaf {
  /** Below the container. */
  readonly elems: readonly PathElem[];
  readonly json: string;
}

interface JsonNode {
  readonly members: Map<string, JsonNode>;
  /** Entries of a list by their keys; null: not a list. */
  entries: Map<string, JsonNode> | null;
  json: string | null;
}

export function formatJsonTree(leaves: readonly JsonLeaf[]): string {
  const root = emptyNode();
  for (const { elems, json } of leaves) {
    let node = root;
    for (const elem of elems) node = step(node, elem);
    node.json = json;
  }
  return formatNode(root);
}

function emptyNode(): JsonNode {
  return { members: new Map(), entries: null, json: null };
}

function member(node: JsonNode, name: string): JsonNode {
  const existing = node.members.get(name);
  if (existing !== undefined) return existing;
  const created = emptyNode();
  node.members.set(name, created);
  return created;
}

function step(node: JsonNode, elem: PathElem): JsonNode {
  const list = member(node, elem.name);
  if (elem.keys.size === 0) return list;
  list.entries ??= new Map();
  const key = JSON.stringify([...elem.keys]);
  const existing = list.entries.get(key);
  if (existing !== undefined) return existing;
  const entry = emptyNode();
  for (const [name, value] of elem.keys) member(entry, name).json = JSON.stringify(value);
  list.entries.set(key, entry);
  return entry;
}

function formatNode(node: JsonNode): string {
  if (node.entries !== null) return `[${[...node.entries.values()].map(formatNode).join(',')}]`;
  // A value at a node with leaves below is legal; the leaves say more than the value that stands for them.
  if (node.members.size === 0) return node.json ?? '{}';
  return `{${[...node.members].map(([name, child]) => `${JSON.stringify(name)}:${formatNode(child)}`).join(',')}}`;
}
