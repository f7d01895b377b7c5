import type { MessageTypeDefinition } from '@grpc/proto-loader';
import { definitionsOf } from './definitions.ts';

/** A message of one of our .proto files, to be stored or embedded. `In` is what is encoded, `Out` what is decoded. */
export interface MessageRef<In, Out> {
  /** Full name, such as `spire.common.Bundle`. */
  readonly name: string;
  /** Path of its .proto file, or of one that imports it, below `proto/`. */
  readonly protoFile: string;
  encode(value: In): Buffer;
  /** @throws Error when `bytes` is no such message */
  decode(bytes: Uint8Array): Out;
}

/**
 * Loads a message, for bytes that are stored or travel inside another message.
 *
 * @param protoFile path below `proto/`
 * @param fullName with its package
 */
export function loadMessage<In, Out>(protoFile: string, fullName: string): MessageRef<In, Out> {
  const definition = definitionsOf(protoFile)[fullName];
  if (definition === undefined || !('serialize' in definition) || typeof definition.format !== 'string') {
    throw new TypeError(`${protoFile} defines no message ${fullName}`);
  }
  // The types are the caller's word: they are generated from the .proto file that the definition was loaded from.
  const { serialize, deserialize } = definition as unknown as MessageTypeDefinition<In, Out>;
  return {
    name: fullName,
    protoFile,
    encode: serialize,
    decode: (bytes) => deserialize(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)),
  };
}
