/** The body of an answer about state, written by the route and by what answers in front of it. */
import { type StatePage } from './state-question.ts';
import { successText } from './route.ts';

export function stateBody(page: StatePage, unsynced: readonly string[], cursor: string): string {
  return successText(
    `{"leaves":[${page.leaves.join(',')}],"total":${page.total},"unsynced":${JSON.stringify(unsynced)}` +
      `,"cursor":"${cursor}","next":${JSON.stringify(page.next)}}`,
  );
}
