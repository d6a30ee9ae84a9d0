import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What `holdfast dev` tells scripts, in `DIR/dev.json`: rewritten whenever a part is started again. */
export interface DevFile {
  readonly brokers: readonly string[];
  readonly schemaRegistry: string | null;
  readonly parts: readonly DevPart[];
}

export interface DevPart {
  readonly part: string;
  readonly instanceId: string;
  readonly pid: number;
  readonly http?: string;
  readonly gnmi?: string;
}

/** Written beside and renamed, so that a reader never sees half of it. */
export function writeDevFile(dataDir: string, content: DevFile): void {
  mkdirSync(dataDir, { recursive: true });
  const partial = join(dataDir, 'dev.json.partial');
  writeFileSync(partial, `${JSON.stringify(content, null, 2)}\n`);
  renameSync(partial, join(dataDir, 'dev.json'));
}

export function removeDevFile(dataDir: string): void {
  rmSync(join(dataDir, 'dev.json'), { force: true });
}
