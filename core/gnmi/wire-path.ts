import { type PathElem } from '../../schemas/path.ts';
import { WireWriter } from '../../schemas/wire-writer.ts';

/**
 * Encoded parts of `gnmi.Path`, made once per leaf and once per subscriber, so that what is sent often is only copied.
 * Fields: origin 2, elem 3 (name 1, key 2 as map entries), target 4.
 */
export function encodeElems(elems: readonly PathElem[]): Buffer {
  const writer = new WireWriter(128);
  for (const elem of elems) {
    const start = writer.open(3);
    if (elem.name !== '') writer.stringField(1, elem.name);
    for (const [name, value] of elem.keys) {
      const entry = writer.open(2);
      writer.stringField(1, name);
      writer.stringField(2, value);
      writer.close(entry);
    }
    writer.close(start);
  }
  return writer.finish();
}

/** Origin and target of a prefix; empty where not said, as N4 wants it echoed. */
export function encodeOriginAndTarget(origin: string, target: string): Buffer {
  const writer = new WireWriter(64);
  if (origin !== '') writer.stringField(2, origin);
  if (target !== '') writer.stringField(4, target);
  return writer.finish();
}
