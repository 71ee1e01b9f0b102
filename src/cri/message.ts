// The messages of CRI v1, and what one does with them besides sending. Requests and answers are plain objects with
// every field present; where one is taken, an object with the fields that matter will do.
export { clone, create, equals, fromJson, type MessageInitShape, toJson } from '@bufbuild/protobuf';
export * from './gen/runtime/v1/api_pb.ts';
