/** What the parts of `holdfast dev` say, made short for the terminal: warnings and errors only, the rest is in their log files. */
const shownLevels = new Set(['warn', 'error', 'fatal']);
const omitted = new Set(['level', 'time', 'msg', 'pid', 'hostname', 'instance', 'part']);

/** What `holdfast dev` has said itself, once, instead of each of its parts. */
const saidByDev = new Set(['topics have too few replicas to survive the loss of a broker']);

/** One line for the terminal, or `null` when the line is not worth interrupting anybody. */
export function formatLogLine(instanceId: string, line: string): string | null {
  const trimmed = line.trim();
  if (trimmed === '') return null;
  let entry: Record<string, unknown>;
  try {
    entry = JSON.parse(trimmed) as Record<string, unknown>;
  } catch {
    return `${instanceId} | ${trimmed}`; // not a log line: a crash report, a library's own words
  }
  if (!shownLevels.has(String(entry['level'])) || saidByDev.has(String(entry['msg']))) return null;
  const fields = Object.entries(entry)
    .filter(([key]) => !omitted.has(key))
    .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  return `${instanceId} | ${String(entry['level'])} ${String(entry['msg'])} ${fields.join(' ')}`.trimEnd();
}
