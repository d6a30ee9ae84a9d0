/**
 * Where an instance keeps its snapshots: a file per slot in a folder of its own, safe to delete at any time.
 *
 * SF1. A file is there whole or not at all: written under another name, flushed to the disk, then renamed.
 */
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Slot } from '../schemas/slot.ts';

export class SnapshotFolder {
  readonly path: string;

  /** Throws nothing: the folder is made when something is written. */
  constructor(dataDir: string, instanceId: string) {
    this.path = join(dataDir, 'state', folderName(instanceId));
  }

  /** Null: there is none. Rejects when it cannot be read. */
  async read(slot: Slot): Promise<Buffer | null> {
    try {
      return await readFile(this.#file(slot));
    } catch (thrown) {
      if (isMissing(thrown)) return null;
      throw thrown;
    }
  }

  /** Each block is asked for when the one before is with the system: in between, others have their turns. */
  async write(slot: Slot, blocks: Iterable<Buffer>, signal: AbortSignal): Promise<void> {
    await mkdir(this.path, { recursive: true });
    const temporary = `${this.#file(slot)}.tmp`;
    try {
      const file = await open(temporary, 'w');
      try {
        for (const block of blocks) {
          signal.throwIfAborted();
          await file.writeFile(block);
        }
        await file.sync();
      } finally {
        await file.close();
      }
      signal.throwIfAborted();
      await rename(temporary, this.#file(slot)); // SF1
    } catch (thrown) {
      await rm(temporary, { force: true });
      throw thrown;
    }
  }

  /** The names are on the disk, too. */
  async flush(): Promise<void> {
    const folder = await open(this.path, 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }

  #file(slot: Slot): string {
    return join(this.path, `slot-${slot}.snapshot`);
  }
}

function isMissing(thrown: unknown): boolean {
  return typeof thrown === 'object' && thrown !== null && 'code' in thrown && thrown.code === 'ENOENT';
}

/** One folder's name for each instance id, and never one of another meaning, as `..` has. */
function folderName(instanceId: string): string {
  return `i-${encodeURIComponent(instanceId)}`;
}
