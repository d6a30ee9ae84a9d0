// Preloaded with `node --require`: the process believes that it is TEST_CLOCK_AHEAD_MS later than it is. With
// TEST_CLOCK_JUMP_MS its clock jumps by so much while it runs: forwards at SIGHUP, back at SIGWINCH.
let aheadMs = Number(process.env.TEST_CLOCK_AHEAD_MS ?? 0);
const now = Date.now.bind(Date);
Date.now = () => now() + aheadMs;
const jumpMs = Number(process.env.TEST_CLOCK_JUMP_MS ?? 0);
if (jumpMs > 0) {
  process.on('SIGHUP', () => (aheadMs += jumpMs));
  process.on('SIGWINCH', () => (aheadMs -= jumpMs));
}
