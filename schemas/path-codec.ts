/**
 * gnmi.Path on the wire <-> Path. The deprecated `element` strings are read where `elem` is empty (N11) and never
 * written.
 */
import { type Init, type MessageType, readMapEntry, writeMapEntry } from './message-codec.ts';
import { type Path, type PathElem } from './path.ts';
import { type WireReader, wireBytes } from './wire-reader.ts';
import { type WireWriter } from './wire-writer.ts';

const noKeys: ReadonlyMap<string, string> = new Map();

export const pathType: MessageType<Path> = {
  write: writePath,
  read: readPath,
};

function writePath(writer: WireWriter, path: Init<Path>): void {
  if (path.origin !== undefined && path.origin !== '') writer.stringField(2, path.origin);
  for (const elem of path.elems ?? []) {
    const start = writer.open(3);
    if (elem.name !== undefined && elem.name !== '') writer.stringField(1, elem.name);
    for (const [name, value] of elem.keys ?? noKeys) writeMapEntry(writer, 2, name, value);
    writer.close(start);
  }
  if (path.target !== undefined && path.target !== '') writer.stringField(4, path.target);
}

/** Reads to the reader's end; `into` is an earlier part of the same path. */
export function readPath(reader: WireReader, into?: Path): Path {
  let origin = into?.origin ?? '';
  let target = into?.target ?? '';
  const elems: PathElem[] = into === undefined ? [] : [...into.elems];
  let elements: PathElem[] | undefined;
  while (reader.next()) {
    if (reader.wire !== wireBytes) reader.skip();
    else if (reader.field === 3) elems.push(readElem(reader));
    else if (reader.field === 2) origin = reader.string();
    else if (reader.field === 4) target = reader.string();
    else if (reader.field === 1) (elements ??= []).push({ name: reader.string(), keys: noKeys });
    else reader.skip();
  }
  return { origin, target, elems: elems.length === 0 && elements !== undefined ? elements : elems };
}

function readElem(reader: WireReader): PathElem {
  const outerEnd = reader.enter();
  let name = '';
  let keys: Map<string, string> | undefined;
  while (reader.next()) {
    if (reader.wire !== wireBytes || reader.field > 2) reader.skip();
    else if (reader.field === 1) name = reader.string();
    else readMapEntry(reader, (keys ??= new Map<string, string>()));
  }
  reader.leave(outerEnd);
  return { name, keys: keys ?? noKeys };
}
