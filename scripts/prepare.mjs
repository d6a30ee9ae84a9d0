// Runs before `npm start` and `npm test`, with nothing but Node: installs what is missing, builds what is stale.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const folders = ['schemas', 'core', 'ingest', 'replicator', 'query-api', 'simulator', 'cli'];
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`Holdfast needs Node 20.19 or later; this is ${process.versions.node}`);
  process.exit(1);
}

const step = (what, command, args) => {
  const startedAt = performance.now();
  console.log(`${what} …`);
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) {
    console.error(`${what} failed${error === undefined ? '' : `: ${error.message}`}; the lines above say why`);
    process.exit(1);
  }
  console.log(`${what}: done in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
};

const lockHash = createHash('sha256')
  .update(readFileSync(join(root, 'package-lock.json')))
  .digest('hex');
const installedStamp = join(root, 'node_modules', '.holdfast-lock');
const installed = existsSync(installedStamp) && readFileSync(installedStamp, 'utf8') === lockHash;
if (!installed) {
  step('installing packages (npm ci)', 'npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
  writeFileSync(installedStamp, lockHash);
}

const newestMs = (path) => {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newestMs(join(path, name))));
};
const builtStamp = join(root, 'dist', '.built');
const sources = [
  ...folders.map((folder) => join(root, folder)),
  join(root, 'tsconfig.build.json'),
  join(root, 'pom.xml'),
];
const sourcesMs = Math.max(...sources.map(newestMs));
if (!existsSync(builtStamp) || statSync(builtStamp).mtimeMs < sourcesMs || !installed) {
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  // Types are checked by `npm run check`; here only the emitted code is wanted, soon.
  step('building', process.execPath, [
    join('node_modules', 'typescript', 'bin', 'tsc'),
    '-p',
    'tsconfig.build.json',
    '--noCheck',
  ]);
  spawnSync(process.execPath, [join('scripts', 'copy-files.mjs')], { cwd: root, stdio: 'inherit' });
  writeFileSync(builtStamp, '');
}
