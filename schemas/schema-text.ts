/**
 * What a schema registry is given for each record type: its .proto text and what that imports.
 *
 * X1. The text registered for a record type declares it as its first message (frame.ts F1).
 * X2. A reference is named as the import statement names it, and registered under a subject of that same name, as stock
 *     Confluent clients do. `google/protobuf/…` is built in at registries and deserializers and never a reference.
 */
import { protoTexts } from './proto-texts.ts';
import { type MessageName } from './topics.ts';

export interface SchemaReference {
  /** Name in the import statement, key in `protoTexts`, and subject in the registry. */
  readonly name: string;
}

export interface SchemaText {
  /** Key in `protoTexts`. */
  readonly file: string;
  readonly text: string;
  /** Direct imports only, in order; each has its own (`referencesOf`). Register them first, deepest first. */
  readonly references: readonly SchemaReference[];
}

const files: Readonly<Record<MessageName, string>> = {
  'gnmi.SubscribeResponse': 'gnmi/gnmi.proto',
  'holdfast.v1.Device': 'holdfast/v1/device.proto',
  'holdfast.v1.Profile': 'holdfast/v1/profile.proto',
  'holdfast.v1.Marker': 'holdfast/v1/marker.proto',
  'holdfast.v1.Leaf': 'holdfast/v1/leaf.proto',
  'holdfast.v1.DeviceStatus': 'holdfast/v1/device_status.proto',
  'holdfast.v1.SlotOwnership': 'holdfast/v1/slot_ownership.proto',
  'holdfast.v1.Plan': 'holdfast/v1/plan.proto',
  'holdfast.v1.Placement': 'holdfast/v1/placement.proto',
  'holdfast.v1.Instance': 'holdfast/v1/instance.proto',
};

/** The text and direct references of one .proto file; throws for a name that is not in `protoTexts`. */
export function schemaTextOf(file: string): SchemaText {
  const text = protoTexts[file];
  if (text === undefined) throw new RangeError(`there is no ${file}`);
  const imports = [...text.matchAll(/^import "([^"]+)";$/gm)].map((match) => match[1] ?? '');
  return {
    file,
    text,
    references: imports.filter((name) => !name.startsWith('google/protobuf/')).map((name) => ({ name })),
  };
}

/** The files a file needs, deepest first, without itself: the order to register them in. */
export function referencesOf(file: string): readonly SchemaText[] {
  const found = new Map<string, SchemaText>();
  for (const { name } of schemaTextOf(file).references) {
    for (const deeper of referencesOf(name)) found.set(deeper.file, deeper);
    found.set(name, schemaTextOf(name));
  }
  return [...found.values()];
}

export const schemaTexts: Readonly<Record<MessageName, SchemaText>> = Object.fromEntries(
  Object.entries(files).map(([message, file]) => [message, schemaTextOf(file)]),
) as Record<MessageName, SchemaText>;
