import { setMaxListeners } from 'node:events';
import { type Logger } from './logger.ts';

/** The first SIGINT or SIGTERM asks for a clean stop, the second one ends the process at once. */
export function stopOnSignals(logger: Logger, exitNow: () => never): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal); // every wait of the process hangs on it: not a leak
  const onSignal = (name: NodeJS.Signals): void => {
    if (controller.signal.aborted) exitNow();
    logger.info({ signal: name }, 'stop requested');
    controller.abort(new Error(`stopped by ${name}`));
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return controller;
}
