/**
 * The page at `/`: how the cluster is, the devices with their sessions, and the values of the one that is chosen.
 * Self-contained: one document, one style, one script, no other request than those below `/api/v1`.
 */
import { createHash } from 'node:crypto';
import { homeScript } from './home-script.ts';
import { homeStyle } from './home-style.ts';
import { type Route } from './route.ts';

const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>Holdfast</title>
<link rel="icon" href="data:,">
<style>${homeStyle}</style>
</head>
<body>
<header>
<h1>Holdfast</h1>
<nav aria-label="Answers in JSON"><a href="/api/v1/cluster">cluster</a><a href="/api/v1/devices">devices</a><a href="/api/v1/ownership">ownership</a><a href="/api/v1/instances">instances</a><a href="/metrics">metrics</a><a href="/readyz">readiness</a></nav>
</header>
<main>
<div role="alert"><p id="banner" class="banner" hidden><span id="banner-text"></span></p></div>
<noscript><p>This page needs JavaScript; the links above answer in JSON.</p></noscript>
<dl aria-label="Cluster">
<div><dt>Kafka</dt><dd id="kafka">…</dd></div>
<div><dt>Slots held</dt><dd id="slots">…</dd></div>
<div><dt>Devices synced</dt><dd id="synced">…</dd></div>
<div><dt>State is behind by</dt><dd id="behind">…</dd></div>
<div><dt>Instances</dt><dd id="parts">…</dd></div>
</dl>
<div class="panes">
<section id="devices-pane" class="pane" aria-labelledby="devices-title">
<h2 id="devices-title" tabindex="-1">Devices</h2>
<label for="filter">Filter by name, state, owner or label</label>
<input id="filter" type="search" spellcheck="false" autocomplete="off" placeholder="site=fra waiting">
<p id="no-devices" hidden>No devices yet. Add some with <code>holdfast devices import FILE</code>, or <code>PUT /api/v1/devices/{name}</code>.</p>
<div class="scroll" role="region" aria-label="List of devices" tabindex="0">
<table id="devices-table" hidden><caption id="devices-caption"></caption>
<thead><tr><th scope="col">Device</th><th scope="col" class="state">Session</th><th scope="col" class="number">Since</th><th scope="col" class="owner">Owner</th></tr></thead>
<tbody id="devices"></tbody></table>
</div>
</section>
<section class="pane" aria-labelledby="leaves-title">
<h2 id="leaves-title" tabindex="-1">Values</h2>
<p id="leaves-hint" class="soft">Choose a device to see its values.</p>
<div id="leaves-part" hidden>
<p id="back-line"><button id="back" class="link" type="button">All devices</button></p>
<form id="path-form"><label for="path">Path; <code>*</code> and <code>...</code> match anything, keys may be left out</label>
<input id="path" value="/" spellcheck="false" autocomplete="off" autocapitalize="off" aria-describedby="leaves-error"></form>
<p id="leaves-error" aria-live="polite"></p>
<div class="scroll" role="region" aria-label="List of values" tabindex="0">
<table class="values"><caption id="leaves-caption"></caption>
<thead><tr><th scope="col" class="path">Path</th><th scope="col">Value</th><th scope="col" class="type">Type</th><th scope="col" class="number">Age</th></tr></thead>
<tbody id="leaves"></tbody></table>
</div>
</div>
</section>
</div>
</main>
<script>${homeScript}</script>
</body>
</html>
`;

const sourceHash = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

/** Nothing but this page's own style and script runs, and it talks to this server only. */
const policy = [
  "default-src 'none'",
  `style-src ${sourceHash(homeStyle)}`,
  `script-src ${sourceHash(homeScript)}`,
  "connect-src 'self'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

export const homeRoute: Route = {
  method: 'GET',
  path: '/',
  parameters: null,
  answer: () => ({
    status: 200,
    body: html,
    contentType: 'text/html; charset=utf-8',
    headers: { 'Content-Security-Policy': policy },
  }),
};
