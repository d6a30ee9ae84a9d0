import { cacheAtomic } from './cache-atomic.ts';
import { cacheDeletes } from './cache-deletes.ts';
import { cacheNames } from './cache-names.ts';
import { cacheOrder } from './cache-order.ts';
import { cacheValues } from './cache-values.ts';
import { clientSecurity } from './client-security.ts';
import { clientSession } from './client-session.ts';
import { clientSubscribe } from './client-subscribe.ts';
import { type Scenario } from './scenario.ts';
import { serverGet } from './server-get.ts';
import { serverRpc } from './server-rpc.ts';
import { serverSubscribe } from './server-subscribe.ts';

export const scenarios: readonly Scenario[] = [
  ...clientSession,
  ...clientSecurity,
  ...clientSubscribe,
  ...cacheValues,
  ...cacheNames,
  ...cacheOrder,
  ...cacheDeletes,
  ...cacheAtomic,
  ...serverGet,
  ...serverSubscribe,
  ...serverRpc,
];
