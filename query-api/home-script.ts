/**
 * What the page at `/` does: reads the cluster, the devices and the leaves of the chosen one, again and again, and
 * shows them. Runs in the browser as it stands here; its hash is in the page's policy.
 *
 * H1. Whatever came from a device or an operator enters the page as text, never as markup.
 * H2. Nothing old looks current: an answer that fails leaves a banner and dims what is there, ages go on counting.
 * H3. Rows are kept and filled anew, so that focus, selection and scroll position outlive a refresh.
 * H4. A refresh waits at least as long as ten times what the last one took: a big fleet is asked less often.
 */
export const homeScript = `
'use strict';
const byId = (id) => document.getElementById(id);
const rowsMax = 300, leavesMax = 500;
let chosen = '', skewMs = 0, servedBy = '', instances = new Set(), devices = [], leavesAtMs = 0, kafkaAway = false;
const readHash = () => { try { return decodeURIComponent(location.hash.slice(1)); } catch { return ''; } };
chosen = readHash();
const get = async (url) => {
  const response = await fetch(url);
  const date = Date.parse(response.headers.get('date') || '');
  if (Math.abs(date - Date.now()) > 3000) skewMs = date - Date.now(); else if (date) skewMs = 0;
  if (!url.includes('/state?')) servedBy = response.headers.get('holdfast-served-by') || ''; // that may be another's answer
  const body = await response.json();
  if (!response.ok) throw Object.assign(new Error(body.detail || body.title || String(response.status)), { code: body.code });
  return body.data;
};
const put = (element, text, name) => {
  const wanted = text === null || text === undefined ? '' : String(text);
  if (element.textContent !== wanted) element.textContent = wanted;
  if (name !== undefined && element.className !== name) element.className = name;
};
const age = (ms) => ms < 1000 ? Math.round(ms) + ' ms' : ms < 60000 ? (ms / 1000).toFixed(1) + ' s' : ms < 7200000 ? Math.round(ms / 60000) + ' min' : ms < 172800000 ? Math.round(ms / 3600000) + ' h' : Math.round(ms / 86400000) + ' d';
const since = (ns) => age(Math.max(0, Date.now() + skewMs - Number(BigInt(ns) / 1000000n)));
const cut = (text, length) => text.length > length ? text.slice(0, length) + '…' : text;
const show = (body, items, keyOf, make, fill) => {
  const old = new Map();
  for (const row of body.rows) old.set(row.dataset.key, row);
  let at = body.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    let row = old.get(key);
    if (row === undefined) { row = make(item); row.dataset.key = key; } else old.delete(key);
    if (row === at) at = at.nextElementSibling; else body.insertBefore(row, at);
    fill(row, item);
  }
  for (const row of old.values()) row.remove();
};
const cells = (names) => {
  const row = document.createElement('tr');
  for (const name of names) { const cell = document.createElement('td'); cell.className = name; row.append(cell); }
  return row;
};

const shownState = (device) => {
  const status = device.status;
  if (device.disabled) return { rank: 3, text: 'disabled', color: 'soft' };
  if (!status) return { rank: 1, text: 'no owner yet', color: 'warn' };
  if (kafkaAway) return { rank: 1, text: status.state + ' when last heard of', color: 'warn' };
  if (instances.size > 0 && !instances.has(status.instance)) return { rank: 0, text: status.state + ', but its owner is gone', color: 'bad' };
  if (status.state === 'synced') return { rank: 2, text: 'synced', color: 'good' };
  return { rank: status.code ? 0 : 1, text: status.state, color: status.code ? 'bad' : 'warn' };
};
const order = new Intl.Collator('en', { numeric: true });
const searched = (device) => [device.name, shownState(device).text, device.status ? device.status.instance + ' ' + (device.status.code || '') : '',
  ...Object.entries(device.labels || {}).map(([name, value]) => name + '=' + value)].join(' ').toLowerCase();
const makeDevice = (device) => {
  const row = cells(['name', 'state', 'number', 'owner']);
  const choose = document.createElement('button');
  choose.type = 'button';
  choose.className = 'link';
  choose.textContent = device.name;
  choose.addEventListener('click', () => { location.hash = encodeURIComponent(device.name); });
  row.cells[0].append(choose);
  row.cells[1].append(document.createElement('span'), document.createElement('small'));
  return row;
};
const fillDevice = (row, device) => {
  const { status } = device, { text, color } = shownState(device), isChosen = device.name === chosen;
  row.className = isChosen ? 'chosen' : '';
  if (isChosen) row.cells[0].firstChild.setAttribute('aria-current', 'true'); else row.cells[0].firstChild.removeAttribute('aria-current');
  put(row.cells[1].firstChild, text, color);
  put(row.cells[1].lastChild, status && status.code ? cut(status.code + (status.detail ? ': ' + status.detail : ''), 300) : '');
  put(row.cells[2], status ? since(status.since) : '');
  put(row.cells[3], status ? status.instance : '');
};
const showDevices = () => {
  const words = byId('filter').value.toLowerCase().split(/\\s+/).filter(Boolean);
  const ranked = devices.filter((device) => { const text = words.length ? searched(device) : ''; return words.every((word) => text.includes(word)); })
    .map((device) => ({ device, rank: shownState(device).rank }))
    .sort((a, b) => (a.rank === b.rank ? order.compare(a.device.name, b.device.name) : a.rank === 2 ? 1 : b.rank === 2 ? -1 : a.rank - b.rank));
  const shown = ranked.slice(0, rowsMax).map(({ device }) => device);
  const many = devices.length + (devices.more ? ' or more' : '');
  byId('no-devices').hidden = devices.length > 0 || !devices.read;
  byId('devices-table').hidden = devices.length === 0;
  put(byId('devices-caption'), (words.length ? ranked.length + ' of ' + many + ' match' : many + (devices.length === 1 ? ' device' : ' devices')) +
    (ranked.length > shown.length ? ', the first ' + shown.length + ' shown: filter to see others' : '') + '; trouble first');
  show(byId('devices'), shown, (device) => device.name, makeDevice, fillDevice);
};
const readDevices = async () => {
  const data = await get('/api/v1/devices');
  devices = Object.assign(data.devices, { more: data.next !== null, read: true });
  if (chosen === '' && devices.length > 0 && matchMedia('(min-width:64rem)').matches) {
    chosen = devices.map(({ name }) => name).sort(order.compare)[0];
    history.replaceState(null, '', '#' + encodeURIComponent(chosen));
  }
};

const fillLeaf = (row, leaf) => {
  const value = typeof leaf.value === 'string' ? leaf.value : JSON.stringify(leaf.value);
  put(row.cells[0], (leaf.origin === 'openconfig' ? '' : leaf.origin + ':') + leaf.path);
  put(row.cells[1], value === '' ? '(empty)' : cut(value, 400));
  put(row.cells[2], leaf.type);
  row.ageMs = leaf.ageMs;
  put(row.cells[3], age(leaf.ageMs));
};
const tickAges = () => { for (const row of byId('leaves').rows) put(row.cells[3], age(row.ageMs + performance.now() - leavesAtMs)); };
/* For a shell: a quote in a name or a key would end the argument. */
const followCommand = (origin, device, path) =>
  "curl -N '" + origin + ('/api/v1/state/stream?device=' + encodeURIComponent(device) + '&path=' + encodeURIComponent(path).replaceAll('%2F', '/')).replaceAll("'", '%27') + "'";
const showLeaves = async () => {
  document.body.classList.toggle('chosen', chosen !== '');
  byId('leaves-part').hidden = chosen === '';
  byId('leaves-hint').hidden = chosen !== '';
  put(byId('leaves-title'), chosen === '' ? 'Values' : 'Values of ' + chosen);
  if (chosen === '') return;
  const asked = chosen, path = byId('path').value.trim() || '/';
  put(byId('follow'), followCommand(location.origin, asked, path));
  try {
    const data = await get('/api/v1/devices/' + encodeURIComponent(asked) + '/state?limit=' + leavesMax + '&path=' + encodeURIComponent(path));
    if (asked !== chosen) return;
    leavesAtMs = performance.now();
    show(byId('leaves'), data.leaves, (leaf) => leaf.origin + ':' + leaf.path, () => cells(['code', 'code value', 'soft', 'number']), fillLeaf);
    put(byId('leaves-caption'), data.total + (data.total === 1 ? ' value' : ' values') + (data.next ? ', the first ' + data.leaves.length + ' shown: narrow the path' : ''));
    put(byId('leaves-error'), data.unsynced.length ? 'There is no synced session with this device: values may be old, see their ages.' : '', data.unsynced.length ? 'warn' : '');
    byId('path').removeAttribute('aria-invalid');
  } catch (error) {
    if (asked !== chosen) return;
    if (!error.code) throw error;
    show(byId('leaves'), [], String, cells, fillLeaf);
    put(byId('leaves-caption'), '');
    put(byId('leaves-error'), error.message, 'bad');
    if (error.code === 'PATH_MALFORMED') byId('path').setAttribute('aria-invalid', 'true');
  }
};

const showCluster = (cluster) => {
  const { slots, stalenessMs } = cluster, kafkaOk = cluster.kafka === 'ok';
  const wanted = devices.filter((device) => !device.disabled).length;
  put(byId('kafka'), cluster.kafka, kafkaOk ? 'good' : 'bad');
  put(byId('slots'), slots.held + ' of ' + slots.total, slots.held === slots.total ? 'good' : 'bad');
  put(byId('synced'), cluster.devices.synced + ' of ' + cluster.devices.total, cluster.devices.synced >= wanted ? 'good' : 'warn');
  put(byId('behind'), stalenessMs === null ? 'unknown' : 'at most ' + age(stalenessMs), stalenessMs === null || stalenessMs > 10000 ? 'bad' : 'good');
  put(byId('parts'), Object.entries(cluster.instances).map(([role, count]) => count + ' ' + role).join(', ') || 'none seen', cluster.instances.ingest && cluster.instances.replicator ? '' : 'bad');
  const troubles = [];
  if (!kafkaOk) troubles.push('Kafka does not answer: what you see is as it was before, nothing new comes in.');
  else if (slots.held < slots.total) troubles.push((slots.total - slots.held) + ' of ' + slots.total + ' slots have no owner: their devices are not collected.');
  else if (slots.unanswered > 0) troubles.push(slots.unanswered + ' of ' + slots.total + ' slots are answered by no query-api: questions about their devices get 503, or wait for a loan.');
  else if (stalenessMs === null) troubles.push('State is incomplete: a replicator has not written every slot yet.');
  banner(troubles.join(' '));
};
const banner = (text) => { byId('banner').hidden = text === ''; put(byId('banner-text'), text); };
let answeredMs = performance.now();
const unanswered = (error) => {
  banner('No answer from this server for ' + age(performance.now() - answeredMs) + ': what you see is old. (' + error.message + ')');
  document.querySelector('main').classList.add('old');
};
let running = false, nextMs = 0;
const refresh = async (now) => {
  if (running || document.hidden || (now !== true && performance.now() < nextMs)) { tickAges(); return; }
  running = true;
  const startedMs = performance.now();
  try {
    const [cluster] = await Promise.all([get('/api/v1/cluster'), readDevices().catch((error) => { if (!error.code) throw error; }),
      get('/api/v1/instances').then((data) => {
        instances = new Set(data.instances.map(({ instance }) => instance));
        const here = data.instances.find(({ instance }) => instance === servedBy);
        put(byId('gnmi'), (here && here.gnmi) || 'unknown');
      }, (error) => { if (!error.code) throw error; })]);
    answeredMs = performance.now();
    document.querySelector('main').classList.remove('old');
    kafkaAway = cluster.kafka !== 'ok';
    showCluster(cluster);
    showDevices();
    await showLeaves();
  } catch (error) { unanswered(error); tickAges(); }
  nextMs = performance.now() + Math.min(30000, 10 * (performance.now() - startedMs));
  running = false;
};
const choose = () => {
  chosen = readHash();
  show(byId('leaves'), [], String, cells, fillLeaf);
  put(byId('leaves-caption'), '');
  put(byId('leaves-error'), '');
  showDevices();
  showLeaves().catch(unanswered);
  if (!matchMedia('(min-width:64rem)').matches) { byId(chosen === '' ? 'devices-title' : 'leaves-title').focus(); scrollTo(0, 0); }
};
byId('filter').addEventListener('input', showDevices);
byId('path-form').addEventListener('submit', (event) => { event.preventDefault(); showLeaves().catch(unanswered); });
byId('path').addEventListener('change', () => showLeaves().catch(unanswered));
byId('back').addEventListener('click', () => { location.hash = ''; });
document.addEventListener('visibilitychange', () => refresh(true));
addEventListener('hashchange', choose);
setInterval(refresh, 1000);
refresh(true);
`;
