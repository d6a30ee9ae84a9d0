import { builtInSchemaId } from '../../../schemas/schema-id.ts';
import { messageNames, topicCatalogue } from '../../../schemas/topics.ts';
import { schemaTexts } from '../../../schemas/proto-texts.ts';
import { missingRecords } from '../../../core/kafka/builtin-registry.ts';
import { importsOf, recordTypeOf, wantedSchemas } from '../../../core/kafka/schema-set.ts';

const wanted = wantedSchemas('x.');

test('one schema per topic and record type, and imports before those who import them', () => {
  const uses = wanted.flatMap(({ use }) => (use === null ? [] : [`${use.topic} ${use.message}`]));
  const expected = topicCatalogue.flatMap(({ name, messages }) => messages.map((message) => `x.${name} ${message}`));
  expect(uses).toEqual(expected);
  const seen = new Set<string>();
  for (const { subject, imports } of wanted) {
    for (const imported of imports) expect(seen).toContain(imported.subject);
    expect(seen).not.toContain(subject);
    seen.add(subject);
  }
  expect(wanted.find(({ subject }) => subject === 'x.state-holdfast.v1.Leaf')?.imports).toEqual([
    { name: 'gnmi/gnmi.proto', subject: 'gnmi/gnmi.proto' },
  ]);
});

test.each(messageNames)('the text of %s is recognised as its own', (message) => {
  expect(recordTypeOf(schemaTexts[message].text)).toBe(message);
});

test.each([
  { text: 'message Leaf {}', type: undefined },
  { text: 'package other;\nmessage Leaf {}', type: undefined },
  {
    text: '// message Plan {\npackage holdfast.v1;\n/* message Plan { } */\nmessage Leaf {}',
    type: 'holdfast.v1.Leaf',
  },
  { text: '"string"', type: undefined },
])('$text is $type', ({ text, type }) => {
  expect(recordTypeOf(text)).toBe(type);
});

test("imports are found, Protobuf's own left out", () => {
  const text =
    'import "a/b.proto";\n// import "no.proto";\nimport public "c.proto";\nimport "google/protobuf/any.proto";\n';
  expect(importsOf(text)).toEqual(['a/b.proto', 'c.proto']);
});

describe('the built-in registry', () => {
  const all = missingRecords(wanted, [], 1_000);

  test('writes each wanted schema once, under the id of its text', () => {
    expect(all.map(({ subject }) => subject)).toEqual(wanted.map(({ subject }) => subject));
    for (const { id, schema } of all) expect(id).toBe(builtInSchemaId(schema));
    expect(missingRecords(wanted, all, 2_000)).toEqual([]);
    const [dropped, ...rest] = all;
    expect(missingRecords(wanted, rest, 2_000)).toEqual([{ ...dropped, registeredAt: 2_000 }]);
  });

  test('refers to the version of an import that it means, not to the latest', () => {
    const older = { subject: 'gnmi/gnmi.proto', id: 1, schemaType: 'PROTOBUF', schema: 'old', references: [] };
    const leaf = missingRecords(wanted, [{ ...older, registeredAt: 5 }], 1_000).find(
      ({ subject }) => subject === 'x.state-holdfast.v1.Leaf',
    );
    expect(leaf?.references).toEqual([{ name: 'gnmi/gnmi.proto', subject: 'gnmi/gnmi.proto', version: 2 }]);
  });

  test('B2: another text under the same id is refused by name, under whatever subject', () => {
    const [first] = all;
    const foreign = { ...first!, subject: 'elsewhere', schema: 'other text' };
    expect(() => missingRecords(wanted, [foreign], 1_000)).toThrow(
      'is taken by another text, registered under elsewhere',
    );
  });
});
