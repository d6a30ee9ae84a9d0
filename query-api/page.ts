/**
 * A page for people as a route: one document, one style, one script. Nothing but the page's own style and script runs,
 * and it talks to this server only.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { type Route } from './route.ts';

export interface Page {
  readonly path: string;
  readonly title: string;
  readonly summary: string;
  readonly style: string;
  readonly script: string;
  /** What stands in `<body>` before the script. */
  readonly body: string;
}

export function pageRoute({ path, title, summary, style, script, body }: Page): Route {
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>${title}</title>
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
<body>
${body}
<script>${script}</script>
</body>
</html>
`;
  const policy = [
    "default-src 'none'",
    `style-src ${sourceHash(style)}`,
    `script-src ${sourceHash(script)}`,
    "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
  const contentType = 'text/html; charset=utf-8';
  return {
    method: 'GET',
    path,
    parameters: null,
    about: {
      group: 'documents',
      summary,
      answers: { 200: { description: 'HTML', body: z.string(), contentType, headers: ['Content-Security-Policy'] } },
      codes: [],
    },
    answer: () => ({ status: 200, body: html, contentType, headers: { 'Content-Security-Policy': policy } }),
  };
}

function sourceHash(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}
