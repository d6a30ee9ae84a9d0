/**
 * Seeds whose schedules found a flaw of the lock when they were first run. What a seed does changes with the code under it,
 * so each flaw has a control run as well (`mutations.ts`) or a unit test; the seeds are replayed all the same.
 */
export const found: readonly { readonly seed: number; readonly story: string }[] = [
  {
    seed: 491,
    story: 'heartbeats of a former member were refused again and again, and each refusal began the new Join anew',
  },
  {
    seed: 1108,
    story: 'a machine was paused while its coordinator was superseded: its lease outlived the one that counts',
  },
  {
    seed: 140,
    story: 'the release that opens a register was hidden by that of a later claim that never reached it: dark for good',
  },
  {
    seed: 116_250,
    story: 'heartbeats at a superseded coordinator and probes at the real one, which did not renew, made up one lease',
  },
  {
    seed: 119_914,
    story: 'a superseded coordinator waited for no Join, the real one did, and dropped the member at R',
  },
];
