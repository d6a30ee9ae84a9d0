/**
 * A JSON Schema validator of the keywords that our API document uses; any other keyword is an error, so that nothing is
 * taken for checked that is not. Closed: a member that the schema does not name is a problem, although the schema
 * leaves it open to clients.
 */
type Schema = Readonly<Record<string, unknown>>;

const annotations = new Set(['description', 'default', 'example', 'title']);
const checked = new Set([
  ...[
    '$ref',
    'allOf',
    'anyOf',
    'const',
    'enum',
    'type',
    'pattern',
    'minLength',
    'maxLength',
    'minimum',
    'maximum',
    'items',
  ],
  ...['minItems', 'maxItems', 'properties', 'required', 'additionalProperties', 'propertyNames'],
]);

/** What is wrong with `value`; empty: it is as `schema` says. `named` are the schemas of `#/components/schemas/`. */
export function schemaProblems(schema: Schema, value: unknown, named: Schema, where = '$'): string[] {
  for (const keyword of Object.keys(schema)) {
    if (!checked.has(keyword) && !annotations.has(keyword))
      throw new Error(`${where}: keyword ${keyword} is not known`);
  }
  const again = (inner: unknown, of: unknown, at = where) => schemaProblems(inner as Schema, of, named, at);
  const problems: string[] = [];
  if (typeof schema['$ref'] === 'string') problems.push(...again(resolve(schema['$ref'], named), value));
  for (const inner of listOf(schema['allOf'])) problems.push(...again(inner, value));
  const choices = listOf(schema['anyOf']).map((inner) => again(inner, value));
  if (choices.length > 0 && choices.every((found) => found.length > 0)) problems.push(...choices.flat());
  if (schema['const'] !== undefined && value !== schema['const'])
    problems.push(`${where}: is not ${JSON.stringify(schema['const'])}`);
  if (schema['enum'] !== undefined && !listOf(schema['enum']).includes(value)) {
    problems.push(`${where}: ${JSON.stringify(value)} is none of ${listOf(schema['enum']).join(', ')}`);
  }
  const types = [schema['type'] ?? []].flat() as string[];
  if (types.length > 0 && !types.includes(typeOf(value))) {
    if (!(typeOf(value) === 'integer' && types.includes('number'))) {
      return [...problems, `${where}: ${JSON.stringify(value).slice(0, 80)} is not ${types.join(' or ')}`];
    }
  }
  if (typeof value === 'string') problems.push(...textProblems(schema, value, where));
  if (typeof value === 'number') problems.push(...numberProblems(schema, value, where));
  if (Array.isArray(value)) {
    const {
      items,
      minItems = 0,
      maxItems = Infinity,
    } = schema as { items?: Schema; minItems?: number; maxItems?: number };
    if (value.length < minItems || value.length > maxItems) problems.push(`${where}: has ${value.length} entries`);
    if (items !== undefined) value.forEach((item, index) => problems.push(...again(items, item, `${where}[${index}]`)));
  } else if (typeof value === 'object' && value !== null) {
    problems.push(...memberProblems(schema, value as Schema, named, where));
  }
  return problems;
}

function memberProblems(schema: Schema, value: Schema, named: Schema, where: string): string[] {
  const problems = listOf(schema['required'])
    .filter((name) => !Object.hasOwn(value, name as string))
    .map((name) => `${where}: ${String(name)} is missing`);
  const properties = (schema['properties'] ?? {}) as Record<string, Schema>;
  const more = schema['additionalProperties'];
  for (const [name, member] of Object.entries(value)) {
    if (Object.hasOwn(properties, name))
      problems.push(...schemaProblems(properties[name]!, member, named, `${where}.${name}`));
    else if (typeof more === 'object')
      problems.push(...schemaProblems(more as Schema, member, named, `${where}.${name}`));
    else if (more === false || schema['properties'] !== undefined) {
      if (more === false || schema['type'] === 'object') problems.push(`${where}: ${name} is not described`);
    }
  }
  return problems;
}

function textProblems(schema: Schema, value: string, where: string): string[] {
  const {
    pattern,
    minLength = 0,
    maxLength = Infinity,
  } = schema as {
    pattern?: string;
    minLength?: number;
    maxLength?: number;
  };
  if (pattern !== undefined && !new RegExp(pattern, 'u').test(value))
    return [`${where}: ${value} is not like ${pattern}`];
  if (value.length > maxLength) return [`${where}: is too long`];
  return value.length < minLength ? [`${where}: is too short`] : [];
}

function numberProblems(schema: Schema, value: number, where: string): string[] {
  const { minimum = -Infinity, maximum = Infinity } = schema as { minimum?: number; maximum?: number };
  return value < minimum || value > maximum ? [`${where}: ${value} is out of range`] : [];
}

function resolve(reference: string, named: Schema): unknown {
  const found = named[reference.replace('#/components/schemas/', '')];
  if (found === undefined) throw new Error(`${reference} does not exist`);
  return found;
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return typeof value === 'number' && Number.isInteger(value) ? 'integer' : typeof value;
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}
