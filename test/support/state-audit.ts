import { eventually } from './eventually.ts';
import { type Stack } from './stack.ts';

/**
 * Compares what query-api answers with what the simulated devices know to be true: path by path, value and timestamp
 * exactly as text. The fleet should be paused, or the two are moments apart.
 */
export interface StateComparison {
  readonly devices: number;
  readonly leaves: number;
  /** `device path: what differs`. */
  readonly differences: readonly string[];
}

interface Leaf {
  readonly device: string;
  readonly origin: string;
  readonly path: string;
  readonly value: unknown;
  readonly timestamp: string;
  readonly position: string;
  readonly ageMs: number;
}

async function stateDifferences(stack: Stack, instanceId: string): Promise<StateComparison> {
  const { devices } = dataOf(await stack.simulatorCall('GET', '/devices')) as { devices: { name: string }[] };
  const differences: string[] = [];
  let leaves = 0;
  for (const { name } of devices) {
    const truth = await truthOf(stack, name);
    const said = await leavesOf(stack, instanceId, name);
    leaves += truth.size;
    for (const [path, leaf] of truth) {
      const answer = said.get(path);
      if (answer === undefined) differences.push(`${name} ${path}: missing`);
      else if (JSON.stringify(answer.value) !== JSON.stringify(leaf.value)) {
        differences.push(`${name} ${path}: ${JSON.stringify(answer.value)} is not ${JSON.stringify(leaf.value)}`);
      } else if (answer.timestamp !== leaf.timestamp)
        differences.push(`${name} ${path}: time ${answer.timestamp} is not ${leaf.timestamp}`);
      else if (!/^\d+:\d+:\d+$/.test(answer.position) || typeof answer.ageMs !== 'number')
        differences.push(`${name} ${path}: no position or age`);
    }
    for (const path of said.keys()) if (!truth.has(path)) differences.push(`${name} ${path}: should be gone`);
  }
  return { devices: devices.length, leaves, differences };
}

/** Waits until every leaf that `instanceId` answers equals the truth; fails with the first differences. */
export function stateEqualsTruth(stack: Stack, instanceId: string, withinMs: number): Promise<StateComparison> {
  return eventually(`state at ${instanceId} equals the truth`, withinMs, async () => {
    const found = await stateDifferences(stack, instanceId);
    const { differences } = found;
    if (differences.length > 0) throw new Error(`${differences.length} differ: ${differences.slice(0, 3).join(' · ')}`);
    return found;
  });
}

/** Values and times of one simulated device by canonical path with origin. */
export async function truthOf(
  stack: Stack,
  device: string,
): Promise<Map<string, { value: unknown; timestamp: string }>> {
  const truth = dataOf(await stack.simulatorCall('GET', `/devices/${device}/truth`)) as {
    leaves: { path: string; value: unknown; timestamp: string }[];
  };
  return new Map(truth.leaves.map((leaf) => [leaf.path, { value: leaf.value, timestamp: leaf.timestamp }]));
}

/** Everything query-api has of a device, all origins. */
export async function leavesOf(stack: Stack, instanceId: string, device: string): Promise<Map<string, Leaf>> {
  const found = new Map<string, Leaf>();
  let next: string | null = null;
  do {
    const page = next === null ? '' : `&next=${encodeURIComponent(next)}`;
    const data = (await stack
      .api(instanceId)
      .call('GET', `/api/v1/devices/${device}/state?path=/&limit=10000${page}`)) as {
      leaves: Leaf[];
      next: string | null;
    };
    for (const leaf of data.leaves) found.set(`${leaf.origin}:${leaf.path}`, leaf);
    next = data.next;
  } while (next !== null);
  return found;
}

function dataOf(answer: unknown): unknown {
  return (answer as { data: unknown }).data;
}
