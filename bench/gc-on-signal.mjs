// Preloaded into a measured process (`node --import`): SIGUSR2 collects, then says what is resident, to the parent over IPC
// or, without one, as a line of standard error.
import { setTimeout } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');
process.on('SIGUSR2', async () => {
  for (let collections = 0; collections < 2; collections += 1) {
    collect();
    await setTimeout(100); // array buffers are swept beside the program, and counted as external until then
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  const said = { rss, heapUsed, external, cpuUs: user + system };
  if (process.send === undefined) process.stderr.write(`${JSON.stringify({ memory: said })}\n`);
  else process.send(said);
});
