import { execFile, type ChildProcess, spawn } from 'node:child_process';
import { access, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { javaProblem } from '../../cli/kafka-jars.ts';
import { messageOf } from '../../core/errors.ts';
import { freePort } from './free-port.ts';
import { testCacheDir } from './test-cache.ts';

/**
 * A real schema registry for tests: Apicurio Registry, in memory, whose Confluent API lies under `url`. Fetched once by
 * Maven (142 MB). Whoever starts one stops it.
 */
export interface Apicurio {
  /** Root of the Confluent-compatible API. */
  readonly url: string;
  /** At once, as a crash would; resolves when the process is gone. May be called twice. */
  kill(): Promise<void>;
}

const version = '2.6.13.Final'; // the last that runs on Java 17
const artefact = `io.apicurio:apicurio-registry-app:${version}:tar.gz:all`;
const copyGoal = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy';
const startMsMax = 60_000;

const run = promisify(execFile);

/** Null, and a printed line, when it cannot be fetched or started here. */
export async function startApicurio(cacheDir = testCacheDir): Promise<Apicurio | null> {
  try {
    const problem = await javaProblem();
    if (problem !== null) throw new Error(problem);
    return await launch(await fetchApicurio(cacheDir));
  } catch (thrown) {
    console.log(`tests against a schema registry are skipped: ${messageOf(thrown)}`);
    return null;
  }
}

/** The folder of the unpacked artefact. */
async function fetchApicurio(cacheDir: string): Promise<string> {
  const folder = join(cacheDir, `apicurio-${version}`);
  if (await exists(folder)) return folder;
  console.log('fetching Apicurio Registry with Maven, once (about 142 MB) …');
  await mkdir(cacheDir, { recursive: true });
  const partial = await mkdtemp(join(cacheDir, 'apicurio-partial-'));
  try {
    await run('mvn', ['-q', '-B', copyGoal, `-Dartifact=${artefact}`, `-DoutputDirectory=${partial}`], {
      cwd: partial,
    });
    const archive = (await readdir(partial)).find((name) => name.endsWith('.tar.gz'));
    if (archive === undefined) throw new Error('Maven copied nothing');
    await run('tar', ['-xzf', archive], { cwd: partial });
    await rm(join(partial, archive));
    await rename(partial, folder).catch(async (thrown: unknown) => {
      if (!(await exists(folder))) throw thrown; // another run was faster
    });
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
  return folder;
}

async function launch(folder: string): Promise<Apicurio> {
  const port = await freePort();
  const options = ['-Xmx128m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];
  const listen = ['-Dquarkus.http.host=127.0.0.1', `-Dquarkus.http.port=${port}`];
  const jar = `apicurio-registry-app-${version}-runner.jar`;
  const child = spawn('java', [...options, ...listen, '-jar', jar], { cwd: folder, stdio: 'ignore' });
  const url = `http://127.0.0.1:${port}/apis/ccompat/v7`;
  const deadlineMs = performance.now() + startMsMax;
  while (!(await answers(`${url}/subjects`))) {
    if (child.exitCode !== null || performance.now() > deadlineMs) {
      await end(child);
      throw new Error(`Apicurio Registry did not start within ${startMsMax} ms`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return { url, kill: () => end(child) };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await exited;
}

async function answers(url: string): Promise<boolean> {
  const response = await fetch(url, { headers: { connection: 'close' } }).catch(() => null);
  await response?.arrayBuffer();
  return response?.status === 200;
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
