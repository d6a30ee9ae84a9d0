#!/usr/bin/env node
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../core/clock.ts';
import { systemRandom } from '../core/random.ts';
import { runCli } from './cli.ts';

const mainFile = fileURLToPath(import.meta.url);
const installRoot = ((): string => {
  let folder = dirname(mainFile);
  while (!existsSync(join(folder, 'pom.xml')) && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
})();

process.exitCode = await runCli(process.argv.slice(2), {
  env: process.env,
  clock: systemClock,
  random: systemRandom,
  print: (line) => process.stdout.write(`${line}\n`),
  printError: (line) => process.stderr.write(`${line}\n`),
  isTerminal: process.stdout.isTTY,
  installRoot,
  mainFile,
  exitNow: (code) => process.exit(code),
});
