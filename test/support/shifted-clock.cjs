// Preloaded with `node --require`: the process believes that it is TEST_CLOCK_AHEAD_MS later than it is.
const aheadMs = Number(process.env.TEST_CLOCK_AHEAD_MS);
const now = Date.now.bind(Date);
Date.now = () => now() + aheadMs;
