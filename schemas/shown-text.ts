/** Text of strangers in a message about it: quoted, and as much of it as tells it from others. */
const charsMax = 200;

export function shownText(text: string): string {
  return JSON.stringify(text.length > charsMax ? `${text.slice(0, charsMax)}…` : text);
}
