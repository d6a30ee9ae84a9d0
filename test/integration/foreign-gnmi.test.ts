/**
 * query-api's gNMI service asked by clients that are not ours: gnmi_cli (Go) and pygnmi (Python), over TLS with client
 * certificates. docs/interoperability.md records runs of both.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { messageOf } from '../../core/errors.ts';
import { ConformanceStage, secureInstance } from '../conformance/stage.ts';
import { type StagedDevice } from '../conformance/staged-device.ts';
import { hasTestKafka, testKafka } from '../support/kafka.ts';
import { repositoryRoot } from '../support/repository-root.ts';

const gnmiCli = process.env['TEST_GNMI_CLI'] ?? 'gnmi_cli';
const hasGnmiCli = spawnSync(gnmiCli, ['-help']).error === undefined;
if (!hasGnmiCli) process.stdout.write('skipped: gnmi_cli is not there; TEST_GNMI_CLI=/path/to/gnmi_cli asks with it\n');
const grpcurl = process.env['TEST_GRPCURL'] ?? 'grpcurl';
const hasGrpcurl = spawnSync(grpcurl, ['-help']).error === undefined;
if (!hasGrpcurl) process.stdout.write('skipped: grpcurl is not there; TEST_GRPCURL=/path/to/grpcurl asks with it\n');
const python = process.env['TEST_PYTHON_GNMI'] ?? 'python3';
const hasPygnmi = spawnSync(python, ['-c', 'import pygnmi.client']).status === 0;
if (!hasPygnmi) process.stdout.write('skipped: no Python with pygnmi; TEST_PYTHON_GNMI=/path/to/python asks with it\n');
const hasAny = hasTestKafka && (hasGnmiCli || hasGrpcurl || hasPygnmi);

const namePath = '/system/name';
const counterPath = '/interfaces/interface[name=et-0/0/1]/state/in-octets';
/** Beyond what a double holds. */
const base = 9_007_199_254_740_993n;

(hasAny ? describe : describe.skip)('gNMI clients that are not ours', () => {
  const stage = new ConformanceStage(testKafka());
  let device: StagedDevice;
  let ticking: NodeJS.Timeout;
  let ticks = 0n;
  let files: Record<'ca' | 'cert' | 'key', string>;

  beforeAll(async () => {
    await stage.start();
    device = await stage.synced();
    const set = (value: bigint) => ({ t: BigInt(Date.now()) * 1_000_000n, set: { [counterPath]: value } });
    device.send({ t: 1_000, set: { [namePath]: 'leaf-1' } }, set(base));
    await device.settled();
    ticking = setInterval(() => device.send(set(base + (ticks += 1n))), 200);
    const { authority, client } = await stage.certificates();
    const file = async (name: string, text: string) => (await stage.secret(name, text)).replace(/^file:/, '');
    files = {
      ca: await file('foreign-ca.pem', authority.cert),
      cert: await file('foreign.pem', client.cert),
      key: await file('foreign.key', client.key),
    };
  }, 120_000);

  afterAll(async () => {
    clearInterval(ticking);
    await stage.stop();
  }, 60_000);

  const run = (command: string, args: readonly string[], withinMs = 60_000): Promise<string> =>
    new Promise((resolve, reject) => {
      const child: ChildProcess = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
      let output = '';
      let errors = '';
      child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
      child.stderr?.on('data', (chunk: Buffer) => (errors += chunk.toString()));
      const timer = setTimeout(() => child.kill('SIGKILL'), withinMs);
      child.once('error', reject);
      child.once('close', (code) => {
        clearTimeout(timer);
        if (code === 0) resolve(output);
        else reject(new Error(`${command} ended with ${code}: ${errors}${output}`));
      });
    });
  const cli = (...args: string[]): Promise<string> => {
    const tls = ['-ca_crt', files.ca, '-client_crt', files.cert, '-client_key', files.key];
    return run(gnmiCli, ['-address', stage.stack.gnmi(secureInstance), ...tls, ...args]);
  };
  const quoted = (text: string): string => JSON.stringify(text);
  /** In PROTO: without a request of ours gnmi_cli asks for JSON, and prints its numbers rounded. */
  const query = (type: 'once' | 'polling' | 'streaming', each: string, ...args: string[]): Promise<string> => {
    const mode = { once: 'ONCE', polling: 'POLL', streaming: 'STREAM' }[type];
    const paths = ['system', 'interfaces']
      .map((name) => `subscription:{path:{elem:{name:"${name}"}} ${each}}`)
      .join(' ');
    const request = `subscribe:{prefix:{target:${quoted(device.name)}} encoding:PROTO mode:${mode} ${paths}}`;
    const asked = cli('-query_type', type, '-display_type', 'single', '-proto', request, ...args);
    // It calls the end of -streaming_duration a failure.
    return type === 'streaming' ? asked.catch((thrown: unknown) => endedInTime(messageOf(thrown))) : asked;
  };
  const endedInTime = (text: string): string => {
    if (!text.includes('DeadlineExceeded')) throw new Error(text);
    return text;
  };
  const counters = (text: string): bigint[] =>
    [...text.matchAll(/in-octets(?:, |": )(\d{16})$/gm)].map(([, digits = '']) => BigInt(digits));

  (hasGrpcurl ? test : test.skip)('grpcurl learns from the server what it offers, and calls it (T21)', async () => {
    const tls = ['-cacert', files.ca, '-cert', files.cert, '-key', files.key];
    const ask = (...args: string[]) => run(grpcurl, [...tls, ...args]);
    const address = stage.stack.gnmi(secureInstance);
    expect((await ask(address, 'list')).split('\n')).toContain('gnmi.gNMI');
    const path = { elem: [{ name: 'system' }, { name: 'name' }] };
    const request = JSON.stringify({ prefix: { target: device.name }, path: [path], encoding: 'PROTO' });
    const answer = JSON.parse(await ask('-d', request, address, 'gnmi.gNMI/Get')) as unknown;
    expect(answer).toMatchObject({ notification: [{ update: [{ path, val: { stringVal: 'leaf-1' } }] }] });
  });

  (hasGnmiCli ? describe : describe.skip)('gnmi_cli', () => {
    test('Capabilities', async () => {
      const text = await cli('-capabilities');
      expect(text).toContain('gNMI_version: "0.10.0"');
      for (const encoding of ['JSON', 'JSON_IETF', 'PROTO'])
        expect(text).toContain(`supported_encodings: ${encoding}\n`);
    });

    test('Get', async () => {
      const path = 'path:{elem:{name:"system"} elem:{name:"name"}}';
      const text = await cli('-get', '-proto', `prefix:{target:${quoted(device.name)}} ${path} encoding:JSON_IETF`);
      expect(text).toMatch(/json_ietf_val: "\\"leaf-1\\""/);
    });

    test('ONCE', async () => {
      const text = await query('once', '');
      expect(text).toMatch(/system\/name, leaf-1/);
      expect(counters(text)).toHaveLength(1);
      expect(counters(text)[0]).toBeGreaterThanOrEqual(base);
    });

    test('POLL', async () => {
      // The display "single" would not poll. Its first Poll takes the first set, which comes unasked, for its answer.
      const text = await query('polling', '', '-display_type', 'group', '-polling_interval', '1s', '-count', '3');
      const seen = counters(text);
      expect(seen).toHaveLength(3);
      expect(seen.at(-1)).toBeGreaterThan(seen[0] ?? 0n);
    });

    test('STREAM on change: every value, in order', async () => {
      const text = await query('streaming', 'mode:ON_CHANGE', '-streaming_duration', '3s');
      const seen = counters(text);
      expect(seen.length).toBeGreaterThanOrEqual(3);
      expect(seen).toEqual(seen.map((_, index) => (seen[0] ?? 0n) + BigInt(index)));
    });

    test('STREAM sample: a value per interval', async () => {
      const text = await query('streaming', 'mode:SAMPLE sample_interval:1000000000', '-streaming_duration', '4s');
      const seen = counters(text);
      expect(seen.length).toBeGreaterThanOrEqual(2);
      expect(seen.length).toBeLessThanOrEqual(6); // the first set and four intervals; on change there would be twenty
    });
  });

  (hasPygnmi ? test : test.skip)(
    'pygnmi: Capabilities, Get, ONCE, POLL, STREAM on change and sample',
    async () => {
      const script = join(repositoryRoot, 'test', 'support', 'read_with_pygnmi.py');
      const text = await run(python, [
        script,
        stage.stack.gnmi(secureInstance),
        device.name,
        files.ca,
        files.cert,
        files.key,
      ]);
      const lines = text.trim().split('\n');
      process.stdout.write(`${lines.map((line) => line.slice(0, 200)).join('\n')}\n`);
      const said = new Map(
        lines.map((line) => {
          const parsed = JSON.parse(line) as { what: string; [more: string]: unknown };
          return [parsed.what, parsed] as const;
        }),
      );
      expect(said.get('capabilities')).toMatchObject({ version: '0.10.0', encodings: ['json', 'json_ietf', 'proto'] });
      expect(said.get('get')).toMatchObject({ values: ['leaf-1', expect.stringMatching(/^9007199254\d{6}$/)] });
      const names = { [namePath.slice(1)]: 'leaf-1', [counterPath.slice(1)]: expect.any(Number) };
      expect(said.get('once')).toMatchObject({ values: names, syncs: 1 });
      expect(said.get('poll')).toMatchObject({ rounds: [names, names] });
      expect(said.get('on-change')).toMatchObject({ before: names });
      expect(said.get('sample')).toMatchObject({ before: names });
      expect(said.get('on-change')?.['after']).toHaveLength(3);
      expect(said.get('sample')?.['after']).toHaveLength(3);
    },
    120_000,
  );
});
