/** The page at `/`: how the cluster is, the devices with their sessions, and the values of the one that is chosen. */
import { homeScript } from './home-script.ts';
import { homeStyle } from './home-style.ts';
import { pageRoute } from './page.ts';

const body = `<header>
<h1>Holdfast</h1>
<nav aria-label="Answers in JSON"><a href="/api/v1/cluster">cluster</a><a href="/api/v1/devices">devices</a><a href="/api/v1/ownership">ownership</a><a href="/api/v1/instances">instances</a><a href="/metrics">metrics</a><a href="/readyz">readiness</a><a href="/api/v1/docs">API</a></nav>
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
<div><dt>gNMI here</dt><dd id="gnmi">…</dd></div>
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
<p class="soft">Every change as it comes, in a terminal: <code id="follow"></code></p>
<div class="scroll" role="region" aria-label="List of values" tabindex="0">
<table class="values"><caption id="leaves-caption"></caption>
<thead><tr><th scope="col" class="path">Path</th><th scope="col">Value</th><th scope="col" class="type">Type</th><th scope="col" class="number">Age</th></tr></thead>
<tbody id="leaves"></tbody></table>
</div>
</div>
</section>
</div>
</main>`;

export const homeRoute = pageRoute({
  path: '/',
  title: 'Holdfast',
  summary: 'The page for people',
  style: homeStyle,
  script: homeScript,
  body,
});
