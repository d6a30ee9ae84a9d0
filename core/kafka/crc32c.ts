/**
 * CRC-32C (Castagnoli) as Kafka's record batches carry it. Native code where the optional package is installed, eight
 * bytes a step in JavaScript otherwise; both give the same numbers.
 */
type Crc = (bytes: Buffer) => number;

const polynomial = 0x82f63b78;
/** Eight tables of 256: table n gives the effect of a byte that stands n bytes before the end of the step. */
const tables = new Uint32Array(8 * 256);
for (let byte = 0; byte < 256; byte += 1) {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = (crc & 1) === 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
  tables[byte] = crc >>> 0;
}
for (let at = 256; at < tables.length; at += 1) {
  const before = tables[at - 256] ?? 0;
  tables[at] = (before >>> 8) ^ (tables[before & 0xff] ?? 0);
}

/** Slicing-by-8. */
export function portableCrc32c(bytes: Buffer): number {
  const table = tables as unknown as readonly number[]; // every index below is within it
  const at = (index: number): number => table[index] as number;
  let crc = 0xffffffff;
  let position = 0;
  for (const end = bytes.length - 7; position < end; position += 8) {
    const low = crc ^ bytes.readUInt32LE(position);
    const high = bytes.readUInt32LE(position + 4);
    crc =
      at(1792 + (low & 0xff)) ^
      at(1536 + ((low >>> 8) & 0xff)) ^
      at(1280 + ((low >>> 16) & 0xff)) ^
      at(1024 + (low >>> 24)) ^
      at(768 + (high & 0xff)) ^
      at(512 + ((high >>> 8) & 0xff)) ^
      at(256 + ((high >>> 16) & 0xff)) ^
      at(high >>> 24);
  }
  for (; position < bytes.length; position += 1) crc = (crc >>> 8) ^ at((crc ^ bytes.readUInt8(position)) & 0xff);
  return (crc ^ 0xffffffff) >>> 0;
}

let current: Crc = portableCrc32c;
let loading: Promise<boolean> | undefined;

export function crc32c(bytes: Buffer): number {
  return current(bytes);
}

/** Switches to native code if it is there; answers whether it is. Loads once per process. */
export function loadNativeCrc32c(): Promise<boolean> {
  return (loading ??= nativeCrc32c().then((native) => {
    if (native !== null) current = native;
    return native !== null;
  }));
}

/** The optional package's function; null when it is not installed for this platform. */
export async function nativeCrc32c(): Promise<Crc | null> {
  try {
    const { crc32c: native } = await import('@node-rs/crc32');
    return (bytes) => native(bytes);
  } catch {
    return null;
  }
}
