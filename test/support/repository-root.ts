import { resolve } from 'node:path';

/** Folder of package.json. Tests run as CommonJS, hence `__dirname`. */
export const repositoryRoot = resolve(__dirname, '../..');
