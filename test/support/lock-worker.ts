/**
 * A lock member as a process of its own, for tests that kill or freeze it: options as JSON in the first argument, one JSON
 * line per host event and per log line on standard output, SIGUSR2 for a line with its stats, SIGTERM for a clean stop.
 */
import { createLogger } from '../../core/logger.ts';
import { LockMember, type LockMemberOptions } from './lock-member.ts';

const destination = { write: (line: string): unknown => process.stdout.write(line) };
const logger = createLogger({ level: 'info', format: 'json', destination });
const member = new LockMember({ ...(JSON.parse(process.argv[2] ?? '{}') as LockMemberOptions), logger });
const print = (line: object): void => console.log(JSON.stringify(line));
member.onEvent = print;
process.on('SIGUSR2', () => print(member.stats()));
process.once('SIGTERM', () => {
  void member.stop().then(
    () => print({ ...member.stats(), event: 'stopped' }),
    (thrown: unknown) => print({ event: 'failed', cause: String(thrown) }),
  );
});
member.start(new AbortController().signal).then(
  () => print({ event: 'started' }),
  (thrown: unknown) => {
    print({ event: 'failed', cause: String(thrown) });
    process.exitCode = 1;
  },
);
