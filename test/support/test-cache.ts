import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where fetched jars are kept between runs, outside the repository. */
export const testCacheDir =
  process.env['HOLDFAST_CACHE_DIR'] ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'holdfast');
