/** Instance ids are free text; a header is printable ASCII. */
export function headerText(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?');
}
