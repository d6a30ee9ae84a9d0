/**
 * JSON of devices as text: checked, never parsed into numbers, so every digit survives (V10). Devices send integers
 * above 2^53 unquoted.
 */

/**
 * The JSON text without outer blanks and newlines (V17), or undefined if the bytes are not one JSON value in valid UTF-8
 * (V16).
 */
export function verbatimJson(bytes: Buffer): string | undefined {
  const text = bytes
    .toString('utf8')
    .replace(/^[ \t\r\n]+/, '')
    .replace(/[ \t\r\n]+$/, '');
  if (text.includes('\ufffd') && !Buffer.from(bytes.toString('utf8'), 'utf8').equals(bytes)) return undefined;
  try {
    // Only to learn whether it parses: what JSON.parse makes of the numbers is thrown away.
    JSON.parse(text);
    return text;
  } catch {
    return undefined;
  }
}
