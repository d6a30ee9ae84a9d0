/** The script of the page at `/api/v1/docs`. Text of the document is set as text, never as markup. */
export const docsScript = `
'use strict';
const at = (id) => document.getElementById(id);
const make = (tag, text, name) => {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (name !== undefined) made.className = name;
  return made;
};
let named = {};

/** A schema as people read it: names, types, words. */
function shape(schema, depth, open) {
  if (schema === undefined) return '';
  if (schema.allOf !== undefined) return shape(schema.allOf[0], depth, open);
  if (schema.$ref !== undefined) {
    const name = schema.$ref.split('/').pop();
    return open.includes(name) ? name : shape(named[name] || {}, depth, open.concat(name));
  }
  const pad = '  '.repeat(depth + 1);
  if (schema.anyOf !== undefined) return schema.anyOf.map((one) => shape(one, depth, open)).join(' | ');
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return schema.enum.length > 16 ? 'a code' : schema.enum.map((one) => JSON.stringify(one)).join(' | ');
  if (schema.type === 'array') return '[' + shape(schema.items, depth, open) + ', …]';
  if (schema.properties !== undefined) {
    const required = schema.required || [];
    const lines = Object.entries(schema.properties).map(([name, one]) => {
      const words = one.description === undefined ? '' : '   // ' + one.description;
      return pad + JSON.stringify(name) + (required.includes(name) ? ': ' : '?: ') + shape(one, depth + 1, open) + words;
    });
    return '{\\n' + lines.join('\\n') + '\\n' + '  '.repeat(depth) + '}';
  }
  if (schema.additionalProperties) return '{ name: ' + shape(schema.additionalProperties, depth, open) + ', … }';
  return Array.isArray(schema.type) ? schema.type.join(' | ') : schema.type || 'any';
}

function typeOf(schema) {
  if (schema.enum !== undefined) return schema.enum.join(', ');
  if (schema.type === 'integer') return 'whole number' + (schema.maximum === undefined ? '' : ', ' + (schema.minimum || 0) + ' to ' + schema.maximum);
  if (schema.type === 'array') return 'text, up to ' + schema.maxItems + ' times';
  return 'text';
}

/** Path and query with the examples of the document in them. */
function exampleUrl(path, operation) {
  let url = path;
  const query = [];
  for (const { name, in: where, example } of operation.parameters) {
    if (where === 'path') url = url.replace('{' + name + '}', encodeURIComponent(example === undefined ? name : example));
    if (where === 'query' && example !== undefined && (name === 'path' || name === 'device'))
      for (const one of [].concat(example)) query.push(name + '=' + encodeURIComponent(one));
  }
  return url + (query.length === 0 ? '' : '?' + query.join('&'));
}

function command(method, url, operation) {
  const quoted = "'" + location.origin + url + "'";
  if (method === 'get') return 'curl ' + quoted;
  if (operation.requestBody === undefined) return 'curl -X ' + method.toUpperCase() + ' ' + quoted;
  const body = JSON.stringify(operation.requestBody.content['application/json'].example);
  return 'curl -X ' + method.toUpperCase() + " -H 'content-type: application/json' \\\\\\n  -d '" + body + "' \\\\\\n  " + quoted;
}

function table(head, rows) {
  const made = make('table', undefined, 'docs');
  const top = made.createTHead().insertRow();
  for (const text of head) top.append(Object.assign(make('th', text), { scope: 'col' }));
  const inside = made.createTBody();
  for (const cells of rows) {
    const row = inside.insertRow();
    cells.forEach((text, index) => row.append(make('td', text, index === 0 ? 'code' : undefined)));
  }
  return made;
}

function operationPart(path, method, operation) {
  const part = make('details');
  const head = make('summary');
  head.append(make('span', method.toUpperCase(), 'verb'), make('code', path), make('span', operation.summary, 'soft'));
  const inside = make('div', undefined, 'inside');
  if (operation.description !== undefined) inside.append(make('p', operation.description));
  if (operation.parameters.length > 0) {
    inside.append(make('h3', 'Parameters'));
    inside.append(table(['Name', 'In', 'Type', 'Meaning'], operation.parameters.map((one) => [one.name, one.in, typeOf(one.schema), one.description])));
  }
  if (operation.requestBody !== undefined) {
    inside.append(make('h3', 'Body'), make('pre', shape(operation.requestBody.content['application/json'].schema, 0, [])));
  }
  const url = exampleUrl(path, operation);
  inside.append(make('h3', 'Example'), make('pre', command(method, url, operation)));
  if (method === 'get') inside.append(Object.assign(make('a', 'Try it: ' + url), { href: url }));
  inside.append(make('h3', 'Answers'));
  inside.append(table(['Status', 'Meaning', 'Headers'], Object.entries(operation.responses).map(([status, one]) => [status, one.description, Object.keys(one.headers || {}).join(', ')])));
  const good = Object.entries(operation.responses).find(([status]) => status < 300);
  const content = good === undefined ? undefined : (good[1].content || {})['application/json'];
  if (content !== undefined) inside.append(make('h3', 'Body of ' + good[0]), make('pre', shape(content.schema, 0, [])));
  part.append(head, inside);
  return part;
}

async function show() {
  const answer = await fetch('/api/v1/openapi.json');
  if (!answer.ok) throw new Error('status ' + answer.status);
  const api = await answer.json();
  named = api.components.schemas;
  at('lead').textContent = api.info.description + ' Version ' + api.info.version + '.';
  for (const { name, description } of api.tags) {
    const operations = Object.entries(api.paths).flatMap(([path, methods]) =>
      Object.entries(methods).filter(([, one]) => one.tags.includes(name)).map(([method, one]) => operationPart(path, method, one)));
    if (operations.length > 0) at('groups').append(make('h2', description), ...operations);
  }
}
show().catch((thrown) => { at('lead').textContent = 'The API document cannot be shown: ' + thrown.message; });
`;
