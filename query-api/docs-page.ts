/**
 * The page at `/api/v1/docs`: shows `/api/v1/openapi.json`, with what an operation takes, a command to copy and, where
 * it only reads, a link to try it.
 */
import { docsScript } from './docs-script.ts';
import { homeStyle } from './home-style.ts';
import { pageRoute } from './page.ts';

const style = `${homeStyle}
main{padding-bottom:3rem}
details{border:1px solid var(--line);border-radius:6px;margin:.5rem 0;background:var(--panel)}
summary{cursor:pointer;padding:.4rem .75rem;display:flex;flex-wrap:wrap;gap:.25rem .75rem;align-items:baseline}
summary code{font-weight:600}
summary .soft{flex:1 1 16rem}
.verb{display:inline-block;min-width:4.5rem;font:600 .85rem ui-monospace,monospace;color:var(--mark)}
.inside{padding:0 .75rem .75rem}
.inside h3{font-size:.9rem;margin:.75rem 0 .25rem}
pre{overflow-x:auto;background:var(--ground);border:1px solid var(--line);border-radius:6px;padding:.5rem .75rem;margin:.25rem 0;white-space:pre-wrap;overflow-wrap:anywhere}
.docs{table-layout:auto}.docs th,.docs td{padding-right:1rem}
`;

const body = `<header>
<h1>Holdfast API</h1>
<nav aria-label="Pages"><a href="/">cluster and devices</a><a href="/api/v1/openapi.json">openapi.json</a></nav>
</header>
<main>
<p id="lead" class="soft">Loading …</p>
<noscript><p>This page needs JavaScript; <a href="/api/v1/openapi.json">openapi.json</a> says the same.</p></noscript>
<div id="groups"></div>
</main>`;

export const docsRoute = pageRoute({
  path: '/api/v1/docs',
  title: 'Holdfast API',
  summary: 'The API document for people',
  style,
  script: docsScript,
  body,
});
