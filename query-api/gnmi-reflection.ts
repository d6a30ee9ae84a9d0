/**
 * What the gNMI listener offers, for tools that ask a server instead of reading .proto files (T21): gRPC server reflection,
 * v1 and v1alpha.
 *
 * RF1. A client that asks and does not read is not read from either.
 */
import { type handleBidiStreamingCall, type Server, type ServerDuplexStream } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { fileDescriptor, type ProtoText } from '../schemas/file-descriptor.ts';
import { protoTexts } from '../schemas/proto-texts.ts';

/** The one form of an offer that needs nothing beside the files: they are all that is read of it. */
const format = 'Protocol Buffer 3 EnumDescriptorProto' as const;

/** Files of Protobuf itself: tools have them, and ask for them all the same. */
const wellKnown: readonly ProtoText[] = [
  ['any', 'message Any { string type_url = 1; bytes value = 2; }'],
  ['duration', 'message Duration { int64 seconds = 1; int32 nanos = 2; }'],
].map(([name = '', text = '']) => ({
  name: `google/protobuf/${name}.proto`,
  text: `syntax = "proto3"; package google.protobuf; ${text}`,
}));

export function addReflection(server: Server): void {
  const offered = { format, type: {}, fileDescriptorProtos: fileDescriptors() };
  new ReflectionService({ gnmi: offered }).addToServer({
    addService: (definition, implementation) => {
      const answer = implementation['ServerReflectionInfo'] as handleBidiStreamingCall<unknown, unknown>;
      server.addService(definition, { ServerReflectionInfo: inStep(answer) });
    },
  });
}

/** gnmi.proto and all that it imports, a google.protobuf.FileDescriptorProto each. */
function fileDescriptors(): Buffer[] {
  const protoText = (name: string): ProtoText => ({ name, text: protoTexts[name] ?? '' });
  const extensions = protoText('gnmi_ext/gnmi_ext.proto');
  return [
    ...wellKnown.map((file) => fileDescriptor(file, [])),
    fileDescriptor(extensions, []),
    fileDescriptor(protoText('gnmi/gnmi.proto'), [extensions]),
  ];
}

/** RF1. */
function inStep(answer: handleBidiStreamingCall<unknown, unknown>): handleBidiStreamingCall<unknown, unknown> {
  return (call: ServerDuplexStream<unknown, unknown>) => {
    const write = call.write.bind(call) as (message: unknown) => boolean;
    call.write = (message: unknown): boolean => {
      const hasRoom = write(message);
      if (!hasRoom && !call.isPaused()) {
        call.pause();
        call.once('drain', () => call.resume());
      }
      return hasRoom;
    };
    answer(call);
  };
}
