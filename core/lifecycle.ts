import { type Logger } from './logger.ts';
import { messageOf } from './errors.ts';

/**
 * Components are constructed inert, started in order and stopped in reverse. `start` resolves when the component does
 * its work; `stop` may be called twice, and before `start` has finished. A component that dies later reports through the
 * `onFatal` it was constructed with, and the process ends: a half-alive service is worse than a restarted one.
 */
export interface Component {
  readonly name: string;
  start(signal: AbortSignal): Promise<void>;
  stop(): Promise<void>;
}

/** Starts in order; if one fails, those before it are stopped and its error is thrown. Returns the way to stop them all. */
export async function startAll(
  components: readonly Component[],
  logger: Logger,
  signal: AbortSignal,
): Promise<() => Promise<void>> {
  const started: Component[] = [];
  let stopping: Promise<void> | undefined;
  const stopAll = (): Promise<void> => (stopping ??= stopInReverse(started, logger));
  for (const component of components) {
    started.push(component); // before start: a start that fails half-way still owns what it opened
    try {
      await component.start(signal);
    } catch (thrown) {
      await stopAll();
      throw thrown;
    }
  }
  return stopAll;
}

async function stopInReverse(components: readonly Component[], logger: Logger): Promise<void> {
  for (const component of components.toReversed()) {
    try {
      await component.stop();
    } catch (thrown) {
      logger.error({ component: component.name, cause: messageOf(thrown) }, 'component stop failed');
    }
  }
}
