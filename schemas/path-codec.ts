/**
 * gnmi.Path on the wire <-> Path. The deprecated `element` strings are read where `elem` is empty (N11) and never
 * written. Paths are read in one way, that of the data path.
 */
import { type Init, type MessageType, writeMapEntry } from './message-codec.ts';
import { type Writer, writeTag, writeText } from './message-wire.ts';
import { type Path, type PathElem } from './path.ts';
import { WireReader, wireBytes } from './wire-reader.ts';

const noKeys: ReadonlyMap<string, string> = new Map();

export const pathType: MessageType<Path> = {
  write: writePath,
  read(reader, into) {
    const path = readPath(new WireReader(reader.buf as Buffer, reader.pos, reader.len), into);
    reader.pos = reader.len;
    return path;
  },
};

function writePath(writer: Writer, path: Init<Path>): void {
  if (path.origin !== undefined && path.origin !== '') writeText(writeTag(writer, 2, wireBytes), path.origin);
  for (const elem of path.elems ?? []) {
    writeTag(writer, 3, wireBytes).fork();
    if (elem.name !== undefined && elem.name !== '') writeText(writeTag(writer, 1, wireBytes), elem.name);
    for (const [name, value] of elem.keys ?? noKeys) writeMapEntry(writer, 2, name, value);
    writer.ldelim();
  }
  if (path.target !== undefined && path.target !== '') writeText(writeTag(writer, 4, wireBytes), path.target);
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

function readMapEntry(reader: WireReader, into: Map<string, string>): void {
  const outerEnd = reader.enter();
  let key = '';
  let value = '';
  while (reader.next()) {
    if (reader.wire !== wireBytes || reader.field > 2) reader.skip();
    else if (reader.field === 1) key = reader.string();
    else value = reader.string();
  }
  reader.leave(outerEnd);
  into.set(key, value);
}
