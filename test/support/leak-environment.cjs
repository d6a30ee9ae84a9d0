// Jest environment that fails a test file which leaves timers, sockets, servers or child processes behind.
const { TestEnvironment } = require('jest-environment-node');

const watched = new Set(['Timeout', 'TCPSocketWrap', 'TCPServerWrap', 'ProcessWrap', 'PipeServerWrap', 'FSEventWrap']);
const graceMs = 2_000;

const count = () => {
  const counts = new Map();
  for (const resource of process.getActiveResourcesInfo()) {
    if (watched.has(resource)) counts.set(resource, (counts.get(resource) ?? 0) + 1);
  }
  return counts;
};

const leaked = (before) =>
  [...count()]
    .filter(([resource, now]) => now > (before.get(resource) ?? 0))
    .map(([resource, now]) => `${now - (before.get(resource) ?? 0)} ${resource}`);

module.exports = class LeakEnvironment extends TestEnvironment {
  async setup() {
    await super.setup();
    this.before = count();
  }

  async teardown() {
    const deadline = performance.now() + graceMs; // closing sockets takes a few turns of the event loop
    let leaks = leaked(this.before);
    while (leaks.length > 0 && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      leaks = leaked(this.before).filter((leak) => leak !== '1 Timeout');
    }
    await super.teardown();
    if (leaks.length > 0) throw new Error(`the test file leaked ${leaks.join(', ')}`);
  }
};
