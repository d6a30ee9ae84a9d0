/** What `/state` answers with. */
import { z } from 'zod';
import { cursorText, document, envelope, nextToken, nsText, positionText, wholeNumber } from '../documents.ts';

const types = [
  ...['string', 'int', 'uint', 'bool', 'bytes', 'float', 'decimal', 'leaflist', 'any'],
  ...['json', 'json_ietf', 'ascii', 'proto_bytes', 'double'],
] as const;

export const leafDocument = document(
  'Leaf',
  z.object({
    device: z.string(),
    origin: z.string(),
    path: z.string().describe('gNMI path, keys in code-point order of their names'),
    value: z.unknown().describe('As encoding says: a text for every int and uint, base64 for bytes, JSON verbatim'),
    type: z.enum(types),
    timestamp: nsText.describe('Nanoseconds since 1970, by the clock of the device'),
    ageMs: wholeNumber.describe('Now minus timestamp (our time of receipt if that is 0), not below 0'),
    position: positionText,
  }),
);

export const stateAnswer = envelope(
  'StateAnswer',
  z.object({
    leaves: z.array(leafDocument),
    total: wholeNumber.describe('All leaves that match, on this page or not'),
    unsynced: z
      .array(z.string())
      .describe('Devices of the request without a synced session: their leaves may be old or missing'),
    cursor: cursorText,
    next: nextToken,
  }),
);
