/** kafkajs' own encoder, the other side of the comparisons in record-batch.test.ts and fetch-protocol.test.ts. */
declare module 'kafkajs/src/protocol/recordBatch/v0/index.js' {
  export function RecordBatch(options: {
    firstOffset: number;
    firstTimestamp: number;
    maxTimestamp: number;
    lastOffsetDelta: number;
    producerId: string;
    producerEpoch: number;
    firstSequence: number;
    records: object[];
  }): Promise<{ readonly buffer: Buffer }>;
}

declare module 'kafkajs/src/protocol/recordBatch/record/v0/index.js' {
  export default function encodeRecord(record: {
    offsetDelta: number;
    timestampDelta: number;
    key: Buffer | null;
    value: Buffer | null;
    headers: Record<string, Buffer>;
  }): object;
}

declare module 'kafkajs/src/protocol/requests/fetch/v11/request.js' {
  export default function encodeFetchRequest(options: object): { encode(): Promise<{ readonly buffer: Buffer }> };
}
