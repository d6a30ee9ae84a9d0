/**
 * The page at `/`: one line about the cluster, the devices with their status, and the leaves of the one that is chosen,
 * read anew every second from the routes below `/api/v1`. Self-contained; the console of a later release replaces it.
 *
 * H1. Whatever came from a device or an operator enters the page as text, never as markup.
 */
import { createHash } from 'node:crypto';
import { type Route } from './route.ts';

const style = `
:root{color-scheme:light dark;--line:#8884;--soft:#888;--good:#1a7f37;--bad:#b35900}
@media(prefers-color-scheme:dark){:root{--good:#4ac26b;--bad:#f0883e}}
body{font:15px/1.45 system-ui,sans-serif;margin:0 auto;padding:1rem;max-width:75rem}
h1{font-size:1.25rem;margin:0}h2{font-size:1.05rem;margin:1.5rem 0 .5rem}
header{display:flex;flex-wrap:wrap;gap:.5rem 1.5rem;align-items:baseline}
nav a{margin-right:1rem}
table{border-collapse:collapse;width:100%}caption{text-align:left;color:var(--soft);padding:.25rem 0}
th,td{text-align:left;padding:.25rem .75rem .25rem 0;border-bottom:1px solid var(--line);vertical-align:top}
td.value,td.path{font-family:ui-monospace,monospace;font-size:.85rem;overflow-wrap:anywhere}
td.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
button{font:inherit;background:none;border:0;padding:0;color:LinkText;text-decoration:underline;cursor:pointer}
button[aria-pressed=true]{font-weight:700}
.good{color:var(--good)}.bad{color:var(--bad)}.scroll{overflow-x:auto}
input{font:inherit;width:100%;max-width:40rem;box-sizing:border-box;padding:.25rem}
`;

const script = `
'use strict';
const byId = (id) => document.getElementById(id);
let chosen = decodeURIComponent(location.hash.slice(1));
const get = async (url) => {
  const response = await fetch(url);
  const body = await response.json();
  if (!response.ok) throw new Error(body.detail || body.title || String(response.status));
  return body.data;
};
const cell = (text, name) => {
  const td = document.createElement('td');
  td.textContent = text === null || text === undefined ? '' : String(text);
  if (name) td.className = name;
  return td;
};
const age = (ms) => ms < 1000 ? ms + ' ms' : ms < 120000 ? (ms / 1000).toFixed(1) + ' s' : ms < 7200000 ? Math.round(ms / 60000) + ' min' : Math.round(ms / 3600000) + ' h';
const since = (ns) => age(Math.max(0, Date.now() - Number(BigInt(ns) / 1000000n)));
const deviceRow = (device) => {
  const row = document.createElement('tr');
  const name = document.createElement('td');
  const choose = document.createElement('button');
  choose.type = 'button';
  choose.textContent = device.name;
  choose.setAttribute('aria-pressed', String(device.name === chosen));
  choose.addEventListener('click', () => { chosen = device.name; location.hash = encodeURIComponent(chosen); leavesText = ''; refresh(); });
  name.append(choose);
  const status = device.status;
  const state = cell(status ? status.state : 'not claimed yet', status && status.state === 'synced' ? 'good' : 'bad');
  row.append(name, state, cell(status ? since(status.since) : '', 'number'), cell(status ? status.instance : ''),
    cell(status && status.code ? status.code + (status.detail ? ': ' + status.detail : '') : ''));
  return row;
};
const leafRow = (leaf) => {
  const row = document.createElement('tr');
  const value = typeof leaf.value === 'string' ? leaf.value : JSON.stringify(leaf.value);
  row.append(cell((leaf.origin === 'openconfig' ? '' : leaf.origin + ':') + leaf.path, 'path'),
    cell(value.length > 400 ? value.slice(0, 400) + '…' : value, 'value'), cell(leaf.type), cell(age(leaf.ageMs), 'number'));
  return row;
};
let devicesText = '', leavesText = '';
const showDevices = async () => {
  const data = await get('/api/v1/devices?limit=500');
  byId('devices-caption').textContent = data.devices.length + (data.next ? ' devices, and more' : ' devices');
  const focused = document.activeElement && document.activeElement.closest('#devices') ? document.activeElement.textContent : null;
  const text = JSON.stringify(data) + chosen + Math.floor(Date.now() / 1000);
  if (text === devicesText) return;
  devicesText = text;
  byId('devices').replaceChildren(...data.devices.map(deviceRow));
  if (focused) for (const button of byId('devices').querySelectorAll('button')) if (button.textContent === focused) button.focus();
};
const showLeaves = async () => {
  byId('leaves-section').hidden = chosen === '';
  if (chosen === '') return;
  byId('leaves-title').textContent = 'Leaves of ' + chosen;
  const path = byId('path').value.trim() || '/';
  const data = await get('/api/v1/devices/' + encodeURIComponent(chosen) + '/state?limit=500&path=' + encodeURIComponent(path));
  byId('leaves-caption').textContent = data.total + ' leaves' + (data.next ? ', the first 500 shown' : '') + (data.unsynced.length ? '; the device is not synced, values may be old' : '');
  byId('leaves').replaceChildren(...data.leaves.map(leafRow));
  byId('leaves-error').textContent = '';
};
const showCluster = async () => {
  const c = await get('/api/v1/cluster');
  const parts = Object.entries(c.instances).map(([role, count]) => count + ' ' + role).join(', ') || 'no instance seen';
  byId('cluster').textContent = 'Kafka ' + c.kafka + ' · ' + c.slots.held + ' of ' + c.slots.total + ' slots held · ' + c.devices.synced + ' of ' + c.devices.total +
    ' devices synced · ' + parts + ' · ' + (c.stalenessMs === null ? 'staleness unknown' : 'at most ' + age(c.stalenessMs) + ' behind');
  byId('cluster').className = c.kafka === 'ok' && c.slots.held === c.slots.total ? 'good' : 'bad';
};
const say = (id) => (error) => { byId(id).textContent = error.message; };
let running = false;
const refresh = async () => {
  if (running || document.hidden) return;
  running = true;
  await Promise.all([
    showCluster().catch((error) => { byId('cluster').textContent = 'no answer: ' + error.message; byId('cluster').className = 'bad'; }),
    showDevices().catch(say('devices-caption')),
    showLeaves().catch((error) => { byId('leaves').replaceChildren(); byId('leaves-caption').textContent = ''; byId('leaves-error').textContent = error.message; }),
  ]);
  running = false;
};
byId('path').addEventListener('change', refresh);
document.addEventListener('visibilitychange', refresh);
addEventListener('hashchange', () => { chosen = decodeURIComponent(location.hash.slice(1)); refresh(); });
setInterval(refresh, 1000);
refresh();
`;

const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>Holdfast</title>
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
<body>
<header>
<h1>Holdfast</h1>
<nav aria-label="API"><a href="/api/v1/cluster">cluster</a><a href="/api/v1/devices">devices</a><a href="/api/v1/ownership">ownership</a><a href="/api/v1/instances">instances</a><a href="/metrics">metrics</a><a href="/readyz">readiness</a></nav>
</header>
<main>
<p id="cluster" role="status" aria-live="off">asking…</p>
<noscript><p>This page needs JavaScript; the links above answer in JSON.</p></noscript>
<h2 id="devices-title">Devices</h2>
<div class="scroll" role="region" aria-labelledby="devices-title" tabindex="0">
<table><caption id="devices-caption"></caption>
<thead><tr><th scope="col">Device</th><th scope="col">Session</th><th scope="col">Since</th><th scope="col">Owner</th><th scope="col">Trouble</th></tr></thead>
<tbody id="devices"></tbody></table>
</div>
<section id="leaves-section" aria-labelledby="leaves-title" hidden>
<h2 id="leaves-title">Leaves</h2>
<p><label for="path">Path, with wildcards if you like</label><br><input id="path" value="/" spellcheck="false" autocomplete="off"></p>
<p id="leaves-error" class="bad" role="alert"></p>
<div class="scroll" role="region" aria-labelledby="leaves-title" tabindex="0">
<table><caption id="leaves-caption"></caption>
<thead><tr><th scope="col">Path</th><th scope="col">Value</th><th scope="col">Type</th><th scope="col">Age</th></tr></thead>
<tbody id="leaves"></tbody></table>
</div>
</section>
</main>
<script>${script}</script>
</body>
</html>
`;

const sourceHash = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

/** Nothing but this page's own style and script runs, and it talks to this server only (H1). */
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

export const homeRoute: Route = {
  method: 'GET',
  path: '/',
  parameters: null,
  answer: () => ({
    status: 200,
    body: html,
    contentType: 'text/html; charset=utf-8',
    headers: { 'Content-Security-Policy': policy, 'X-Content-Type-Options': 'nosniff' },
  }),
};
