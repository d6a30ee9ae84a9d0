/** Compares ranks: tuples in which the first difference decides and the lower value is preferred. */
export function isLower(a: readonly number[], b: readonly number[]): boolean {
  for (const [at, value] of a.entries()) {
    const other = b[at] ?? 0;
    if (value !== other) return value < other;
  }
  return false;
}
