import { loadSync, type MessageTypeDefinition, type PackageDefinition } from '@grpc/proto-loader';
import { definitionsOf } from './definitions.ts';

/** One field of a message. */
export interface FieldShape {
  readonly name: string;
  readonly repeated: boolean;
  /** The name of descriptor.proto, such as `TYPE_BYTES`. */
  readonly type: string;
  /** What a field of type `TYPE_MESSAGE` holds. */
  readonly message: MessageShape | undefined;
}

/** What a .proto file says of a message. */
export interface MessageShape {
  /** Full name. */
  readonly name: string;
  readonly fields: readonly FieldShape[];
  /** The entries of a map field: `key` and `value`. */
  readonly isMapEntry: boolean;
}

/** The messages and methods of one .proto file and its imports. */
export interface FileShapes {
  /** By full name. */
  readonly messages: ReadonlyMap<string, MessageShape>;
  /** Full name of the response message, by `service/Method`. */
  readonly responses: ReadonlyMap<string, string>;
}

interface RawField {
  readonly name: string;
  readonly label: string;
  readonly type: string;
  readonly typeName: string;
}

interface RawMessage {
  readonly name: string;
  readonly field: readonly RawField[];
  readonly nestedType: readonly RawMessage[];
  readonly options: { readonly mapEntry: boolean } | null;
}

interface RawFile {
  readonly package: string;
  readonly messageType: readonly RawMessage[];
  readonly service: readonly {
    readonly name: string;
    readonly method: readonly { readonly name: string; readonly outputType: string }[];
  }[];
}

const cache = new Map<string, FileShapes>();

/** @param protoFile path below `proto/` */
export function shapesOf(protoFile: string): FileShapes {
  let shapes = cache.get(protoFile);
  if (shapes === undefined) {
    shapes = readShapes(rawFiles(definitionsOf(protoFile)));
    cache.set(protoFile, shapes);
  }
  return shapes;
}

/** Every definition carries the descriptors of all files of its root. */
function rawFiles(definitions: PackageDefinition): readonly RawFile[] {
  const [first] = Object.values(definitions).filter((definition) => 'fileDescriptorProtos' in definition);
  const encoded = first?.fileDescriptorProtos;
  if (!Array.isArray(encoded)) return [];
  const name = 'google.protobuf.FileDescriptorProto';
  const own = loadSync('google/protobuf/descriptor.proto', { enums: String, defaults: true })[name];
  const { deserialize } = own as unknown as MessageTypeDefinition<object, RawFile>;
  return encoded.map((bytes: Buffer) => deserialize(bytes));
}

function readShapes(files: readonly RawFile[]): FileShapes {
  const raw = new Map<string, RawMessage>();
  const responses = new Map<string, string>();
  for (const file of files) {
    for (const message of file.messageType) collect(message, file.package, raw);
    for (const service of file.service) {
      for (const method of service.method) {
        responses.set(`${qualified(file.package, service.name)}/${method.name}`, method.outputType.replace(/^\./, ''));
      }
    }
  }
  const messages = new Map<string, MessageShape>();
  for (const name of raw.keys()) build(name, raw, messages);
  return { messages, responses };
}

function collect(message: RawMessage, scope: string, into: Map<string, RawMessage>): void {
  const name = qualified(scope, message.name);
  into.set(name, message);
  for (const nested of message.nestedType) collect(nested, name, into);
}

/** Builds a message and what it refers to; a message may refer to itself, so it is known before its fields are. */
function build(name: string, raw: ReadonlyMap<string, RawMessage>, built: Map<string, MessageShape>): MessageShape {
  const known = built.get(name);
  if (known !== undefined) return known;
  const source = raw.get(name);
  if (source === undefined) throw new TypeError(`no message ${name}`);
  const fields: FieldShape[] = [];
  const shape = { name, fields, isMapEntry: source.options?.mapEntry === true };
  built.set(name, shape);
  for (const field of source.field) {
    fields.push({
      name: field.name,
      repeated: field.label === 'LABEL_REPEATED',
      type: field.type,
      message: field.type === 'TYPE_MESSAGE' ? build(resolve(field.typeName, name, raw), raw, built) : undefined,
    });
  }
  return shape;
}

/** Names are looked up from the inside out, as protobuf scopes them. */
function resolve(typeName: string, scope: string, raw: ReadonlyMap<string, RawMessage>): string {
  if (typeName.startsWith('.')) return typeName.slice(1);
  for (let outer = scope; ; outer = outer.slice(0, Math.max(0, outer.lastIndexOf('.')))) {
    const name = qualified(outer, typeName);
    if (raw.has(name) || outer === '') return name;
  }
}

function qualified(scope: string, name: string): string {
  return scope === '' ? name : `${scope}.${name}`;
}
