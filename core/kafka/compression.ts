import { constants, gunzipSync, gzipSync } from 'node:zlib';
import { HoldfastError, messageOf } from '../errors.ts';

/**
 * Codecs of record batches. Readers need all of them, because other producers choose theirs; writers choose by setting.
 * gzip is built in; the others are optional packages with native code, loaded once by `loadCodecs`.
 *
 * A codec is synchronous where it can be: the batches of all partitions leave in one request, and a batch that is still
 * being compressed would hold up the rest. zstd has no synchronous form.
 */
export const codecNames = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const; // the index is the number in a batch
export type CodecName = (typeof codecNames)[number];
export type CompressionSetting = 'auto' | CodecName;

export interface Compressor {
  readonly codec: CodecName;
  /** Batches below this many bytes are left as they are: they cost more than they save. */
  readonly bytesMin: number;
  readonly compress: (records: Buffer) => Buffer | Promise<Buffer>;
}

interface Codec {
  readonly compress: (bytes: Buffer) => Buffer | Promise<Buffer>;
  readonly decompress: (bytes: Buffer) => Buffer | Promise<Buffer>;
}

const gzip: Codec = {
  compress: (bytes) => gzipSync(bytes, { level: constants.Z_BEST_SPEED }), // level 6 costs five times as much for 3 %
  decompress: (bytes) => gunzipSync(bytes),
};

const packages: Readonly<Record<Exclude<CodecName, 'none' | 'gzip'>, string>> = {
  snappy: 'snappy',
  lz4: 'lz4-napi',
  zstd: '@mongodb-js/zstd',
};

const codecs = new Map<CodecName, Codec>([['gzip', gzip]]);
let loading: Promise<void> | undefined;

/** Loads the optional codecs that are installed. Once per process; before the first `compressorOf` or `decompress`. */
export function loadCodecs(): Promise<void> {
  return (loading ??= Promise.all([loadSnappy(), loadLz4(), loadZstd()]).then((loaded) => {
    for (const [name, codec] of loaded.flatMap((entry) => (entry === null ? [] : [entry]))) codecs.set(name, codec);
  }));
}

/**
 * The compressor of a setting; null for `none`. `auto` is lz4 for batches of 32 KB and more, or gzip at its fastest where
 * lz4 is not installed. Throws `SETTING_INVALID` when a codec asked for by name is not there.
 */
export function compressorOf(setting: CompressionSetting): Compressor | null {
  if (setting === 'none') return null;
  const bytesMin = setting === 'auto' ? 32_768 : 1_024;
  const name = setting !== 'auto' ? setting : codecs.has('lz4') ? 'lz4' : 'gzip';
  return { codec: name, bytesMin, compress: codecOf(name).compress };
}

/** @param codec the number in the batch's attributes. Throws or rejects when the bytes are damaged or it is not there. */
export function decompress(codec: number, bytes: Buffer): Buffer | Promise<Buffer> {
  const name = codecNames[codec];
  if (name === undefined)
    throw new HoldfastError('INTERNAL', `a record batch names codec ${codec}, which is not known`);
  return name === 'none' ? bytes : codecOf(name).decompress(bytes);
}

function codecOf(name: Exclude<CodecName, 'none'>): Codec {
  const codec = codecs.get(name);
  if (codec !== undefined) return codec;
  const wanted = name === 'gzip' ? 'zlib' : packages[name];
  const message = `codec ${name} is not available: install the optional package ${wanted}, or set compression to gzip`;
  throw new HoldfastError('SETTING_INVALID', message, { facts: { codec: name, package: wanted } });
}

type Loaded = readonly [CodecName, Codec] | null;

async function loadLz4(): Promise<Loaded> {
  try {
    const { compressFrameSync, decompressFrameSync } = await import('lz4-napi');
    return ['lz4', { compress: (bytes) => compressFrameSync(bytes), decompress: decompressFrameSync }];
  } catch {
    return null;
  }
}

async function loadZstd(): Promise<Loaded> {
  try {
    const { compress, decompress: inflate } = await import('@mongodb-js/zstd');
    return ['zstd', { compress: (bytes) => compress(bytes, 1), decompress: inflate }];
  } catch {
    return null;
  }
}

async function loadSnappy(): Promise<Loaded> {
  try {
    const { compressSync, uncompressSync } = await import('snappy');
    const inflate = (bytes: Buffer): Buffer => {
      const plain = uncompressSync(bytes, { asBuffer: true });
      return typeof plain === 'string' ? Buffer.from(plain) : plain;
    };
    return [
      'snappy',
      {
        compress: (bytes) => frameXerial(bytes, (chunk) => compressSync(chunk)),
        decompress: (bytes) => (isXerial(bytes) ? unframeXerial(bytes, inflate) : inflate(bytes)),
      },
    ];
  } catch {
    return null;
  }
}

/** Java's framing of snappy: magic, version 1 twice, then chunks behind their lengths. Java also reads bare blocks. */
const xerialMagic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const xerialHeaderLength = 16;
const xerialChunkBytes = 32_768;

function isXerial(bytes: Buffer): boolean {
  return bytes.length >= xerialHeaderLength && bytes.subarray(0, xerialMagic.length).equals(xerialMagic);
}

function frameXerial(bytes: Buffer, compress: (chunk: Buffer) => Buffer): Buffer {
  const header = Buffer.alloc(xerialHeaderLength);
  xerialMagic.copy(header);
  header.writeInt32BE(1, 8);
  header.writeInt32BE(1, 12);
  const parts: Buffer[] = [header];
  for (let at = 0; at < bytes.length; at += xerialChunkBytes) {
    const chunk = compress(bytes.subarray(at, at + xerialChunkBytes));
    const length = Buffer.alloc(4);
    length.writeInt32BE(chunk.length);
    parts.push(length, chunk);
  }
  return Buffer.concat(parts);
}

function unframeXerial(bytes: Buffer, inflate: (chunk: Buffer) => Buffer): Buffer {
  const parts: Buffer[] = [];
  let at = xerialHeaderLength;
  while (at + 4 <= bytes.length) {
    const end = at + 4 + bytes.readInt32BE(at);
    if (end <= at + 4 || end > bytes.length)
      throw new RangeError(`snappy chunk ends at ${end} of ${bytes.length} bytes`);
    try {
      parts.push(inflate(bytes.subarray(at + 4, end)));
    } catch (thrown) {
      throw new RangeError(`snappy chunk at ${at} is damaged: ${messageOf(thrown)}`, { cause: thrown });
    }
    at = end;
  }
  return Buffer.concat(parts);
}
