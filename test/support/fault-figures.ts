/** One line of what a fault cost, for docs and for whoever reads the run. */
export function sayFigures(fault: string, figures: Readonly<Record<string, unknown>>): void {
  const texts = Object.entries(figures).map(([name, value]) => `${name} ${String(value)}`);
  process.stdout.write(`fault: ${fault}: ${texts.join(', ')}\n`);
}

/** `min–max`, rounded; '–' for none. */
export function spanOf(values: readonly number[]): string {
  if (values.length === 0) return '–';
  const [low, high] = [Math.round(Math.min(...values)), Math.round(Math.max(...values))];
  return low === high ? String(low) : `${low}–${high}`;
}
