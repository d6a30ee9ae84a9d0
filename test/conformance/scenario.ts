import { type ConformanceStage } from './stage.ts';

/**
 * One thing that gNMI asks of somebody, played over real sockets. `docs/conformance.md` has a line for each.
 *
 * client: ingest against a device that does as the scenario says. cache: what a device said, as a reader finds it. server:
 * query-api's gNMI service against a client that does as the scenario says.
 */
export type Side = 'client' | 'cache' | 'server';

export interface Scenario {
  /** `side/words-with-dashes`; stable, for documents and reports. */
  readonly id: string;
  /** A sentence without its full stop: what holds. */
  readonly title: string;
  /** Rule ids of the gNMI rules that the project follows, separated by blanks. */
  readonly rules: string;
  run(stage: ConformanceStage): Promise<void>;
}

export interface Outcome {
  readonly scenario: Scenario;
  readonly failure: unknown;
  readonly tookMs: number;
}

export const sideOf = ({ id }: Pick<Scenario, 'id'>): Side => id.slice(0, id.indexOf('/')) as Side;

/** Plays all, `atOnce` of them at the same time; in the order given. */
export async function playAll(
  scenarios: readonly Scenario[],
  stage: ConformanceStage,
  atOnce: number,
): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  let next = 0;
  const player = async (): Promise<void> => {
    for (let index = next++; index < scenarios.length; index = next++) {
      const scenario = scenarios[index] as Scenario;
      const startedMs = performance.now();
      const failure: unknown = await scenario.run(stage).then(
        () => null,
        (thrown: unknown) => thrown ?? new Error('threw nothing'),
      );
      outcomes[index] = { scenario, failure, tookMs: performance.now() - startedMs };
    }
  };
  await Promise.all(Array.from({ length: atOnce }, player));
  return outcomes;
}
