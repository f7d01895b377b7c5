import { loadSync, type MessageTypeDefinition, type PackageDefinition } from '@grpc/proto-loader';
import { definitionsOf } from './definitions.ts';

/** One .proto file as tools of other languages read it. */
export interface FileDescriptor {
  readonly name: string;
  /** A serialized google.protobuf.FileDescriptorProto. */
  readonly bytes: Buffer;
  /** The names of the files it imports. */
  readonly imports: readonly string[];
  /** The full names of its messages, enums, services and methods. */
  readonly symbols: readonly string[];
}

// The fields of descriptor.proto that are read or corrected here; others are passed on as they are.
interface RawField {
  name: string;
  readonly type: string;
  typeName?: string;
}
interface RawMessage {
  name: string;
  readonly field?: readonly RawField[];
  readonly nestedType?: readonly RawMessage[];
  readonly enumType?: readonly { readonly name: string }[];
  readonly options?: { readonly mapEntry?: boolean };
}
interface RawFile {
  name: string;
  readonly package?: string;
  dependency?: string[];
  readonly messageType?: readonly RawMessage[];
  readonly enumType?: readonly { readonly name: string }[];
  readonly service?: readonly {
    readonly name: string;
    readonly method?: readonly { readonly name: string; readonly inputType: string; readonly outputType: string }[];
  }[];
}

/**
 * The files of one service: that which defines it, and those it imports. The loader's descriptors are of one file per
 * package, with names of its own for files and map entries, relative type names, and no imports; here they are made
 * what compilers write, as strict readers want them.
 *
 * @param protoFile path below `proto/`
 */
export function fileDescriptorsOf(protoFile: string): readonly FileDescriptor[] {
  const { deserialize, serialize } = fileDescriptorProto();
  const files = encodedFiles(definitionsOf(protoFile)).map((bytes) => deserialize(bytes));
  const fileOfType = new Map<string, string>();
  for (const file of files) {
    file.name = file.service === undefined ? importName(protoFile, file.package) : protoFile;
    nameMapEntries(file.messageType);
    for (const name of typesIn(file.messageType, file.enumType, file.package)) fileOfType.set(name, file.name);
  }
  return files.map((file) => {
    file.dependency = correctReferences(file, fileOfType);
    const services = (file.service ?? []).flatMap((service) => {
      const name = qualified(file.package, service.name);
      return [name, ...(service.method ?? []).map((method) => `${name}.${method.name}`)];
    });
    const symbols = [...typesIn(file.messageType, file.enumType, file.package), ...services];
    return { name: file.name, bytes: serialize(file), imports: file.dependency, symbols };
  });
}

/** Of its own for each root: another one may have loaded another part of the same package. */
function importName(protoFile: string, packageName = ''): string {
  return `${protoFile.replace(/\.proto$/, '')}/${packageName}.proto`;
}

function fileDescriptorProto(): MessageTypeDefinition<RawFile, RawFile> {
  // Without defaults, so that what was not set is not written either.
  const definitions = loadSync('google/protobuf/descriptor.proto', { enums: String });
  return definitions['google.protobuf.FileDescriptorProto'] as unknown as MessageTypeDefinition<RawFile, RawFile>;
}

/** Every definition carries the descriptors of all files of its root. */
function encodedFiles(definitions: PackageDefinition): readonly Buffer[] {
  for (const definition of Object.values(definitions)) {
    if ('fileDescriptorProtos' in definition && Array.isArray(definition.fileDescriptorProtos)) {
      return definition.fileDescriptorProtos;
    }
  }
  return [];
}

/** The entries of a map field `some_map` are messages `SomeMapEntry`: readers refuse any other name. */
function nameMapEntries(messages: readonly RawMessage[] = []): void {
  for (const message of messages) {
    for (const entry of message.nestedType ?? []) {
      if (entry.options?.mapEntry !== true) continue;
      const was = entry.name;
      const field = message.field?.find(({ typeName }) => typeName === was);
      if (field === undefined) throw new TypeError(`no field of ${message.name} is the map ${was}`);
      entry.name = `${field.name.replace(/(?:^|_)([a-z0-9])/g, (_all, letter: string) => letter.toUpperCase())}Entry`;
      field.typeName = entry.name;
    }
    nameMapEntries(message.nestedType);
  }
}

function typesIn(
  messages: readonly RawMessage[] = [],
  enums: readonly { readonly name: string }[] = [],
  scope: string | undefined,
): readonly string[] {
  const nested = messages.flatMap((message) => {
    const name = qualified(scope, message.name);
    return [name, ...typesIn(message.nestedType, message.enumType, name)];
  });
  return [...enums.map(({ name }) => qualified(scope, name)), ...nested];
}

/** Makes type names full ones. @returns the other files that they lead to */
function correctReferences(file: RawFile, fileOfType: ReadonlyMap<string, string>): string[] {
  const imports = new Set<string>();
  const note = (type: string): void => {
    const from = fileOfType.get(type);
    if (from !== undefined && from !== file.name) imports.add(from);
  };
  const visit = (messages: readonly RawMessage[] = [], scope: string | undefined): void => {
    for (const message of messages) {
      const name = qualified(scope, message.name);
      for (const field of message.field ?? []) {
        if (field.typeName === undefined) continue;
        const type = resolve(field.typeName, name, fileOfType);
        field.typeName = `.${type}`;
        note(type);
      }
      visit(message.nestedType, name);
    }
  };
  visit(file.messageType, file.package);
  for (const { method = [] } of file.service ?? []) {
    for (const { inputType, outputType } of method) [inputType, outputType].forEach((type) => note(type.slice(1)));
  }
  return Array.from(imports).sort();
}

/** Names are looked up from the inside out, as protobuf scopes them. */
function resolve(typeName: string, scope: string, known: ReadonlyMap<string, unknown>): string {
  if (typeName.startsWith('.')) return typeName.slice(1);
  for (let outer = scope; ; outer = outer.slice(0, Math.max(0, outer.lastIndexOf('.')))) {
    const name = qualified(outer, typeName);
    if (known.has(name)) return name;
    if (outer === '') throw new TypeError(`${scope} refers to ${typeName}, which is not defined`);
  }
}

function qualified(scope: string | undefined, name: string): string {
  return scope === undefined || scope === '' ? name : `${scope}.${name}`;
}
