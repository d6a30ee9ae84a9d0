import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CliContext } from './context.ts';

/** Version of `package.json`. */
export function versionOf(context: Pick<CliContext, 'installRoot'>): string {
  const text = readFileSync(join(context.installRoot, 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
