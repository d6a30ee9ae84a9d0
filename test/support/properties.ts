/**
 * fast-check with one seed for every run, so that what is red on one machine is red on all.
 *
 * `SEED=4711 npm run test:unit` draws other cases; `npm run test:properties` draws new ones round after round and prints the
 * seed of a round that fails.
 */
import fc from 'fast-check';

fc.configureGlobal({ seed: Number(process.env['SEED'] ?? 1) });

export { default } from 'fast-check';
