// Preloaded into a measured process (`node --expose-gc --import`): SIGUSR2 collects, then says what is resident.
process.on('SIGUSR2', () => {
  globalThis.gc();
  const { rss, heapUsed, external } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  process.send({ rss, heapUsed, external, cpuUs: user + system });
});
