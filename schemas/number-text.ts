/** Numbers of gNMI values as JSON texts, exact. */

/** NaN and the infinities have no JSON number; they are strings (V14). */
function nonFinite(value: number): string {
  return Number.isNaN(value) ? '"NaN"' : value > 0 ? '"Infinity"' : '"-Infinity"';
}

/** The shortest text that reads back as the same double. */
export function formatDouble(value: number): string {
  if (!Number.isFinite(value)) return nonFinite(value);
  return Object.is(value, -0) ? '-0' : String(value);
}

/** The shortest text that reads back as the same float32: 0.1, not 0.10000000149011612 (V6). */
export function formatFloat(value: number): string {
  if (!Number.isFinite(value)) return nonFinite(value);
  if (value === 0) return formatDouble(value);
  // 9 significant digits name any float32.
  for (let digits = 1; digits < 9; digits++) {
    const shorter = Number(value.toPrecision(digits));
    if (Math.fround(shorter) === value) return formatDouble(shorter);
  }
  return formatDouble(Number(value.toPrecision(9)));
}

/** YANG's decimal64 ends at 18; a device may write anything, and a text of 2^32 zeros helps nobody. */
const plainPrecisionMax = 64;

/** digits × 10^-precision, all digits kept: (-5, 1) is `-0.5`. Absurd precisions take the exponent form. */
export function formatDecimal(digits: bigint, precision: number): string {
  if (precision === 0) return digits.toString();
  if (precision > plainPrecisionMax) return `${digits}e-${precision}`;
  const sign = digits < 0n ? '-' : '';
  const text = (digits < 0n ? -digits : digits).toString().padStart(precision + 1, '0');
  return `${sign}${text.slice(0, -precision)}.${text.slice(-precision)}`;
}
