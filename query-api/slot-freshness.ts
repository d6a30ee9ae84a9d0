/** How far an instance may be behind in one slot. */
export type SlotFreshness =
  /** Not held here: others hold it. */
  | { readonly kind: 'absent' }
  /** Not read to its end yet, or nothing has ever written it: an answer would lack leaves without saying so. */
  | { readonly kind: 'incomplete'; readonly reason: string }
  /** Read to the end of the log, but no marker was seen live: the age is a guess across two machines' clocks. */
  | { readonly kind: 'estimated'; readonly stalenessMs: number }
  | { readonly kind: 'known'; readonly stalenessMs: number };
