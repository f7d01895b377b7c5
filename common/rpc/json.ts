import type { Struct__Output } from '../../proto/gen/workload/google/protobuf/Struct.ts';
import { type FieldShape, type MessageShape, shapesOf } from './descriptor.ts';
import { loadMessage, type MessageRef } from './message.ts';
import type { OutputOf, ResponseOf, ServiceRef } from './service.ts';
import { fromStruct, type JsonObject, type JsonValue } from './struct.ts';

/** The message that a method answers with. */
export function responseMessage<D, M extends keyof D & string>(
  service: ServiceRef<D>,
  method: M,
): MessageRef<ResponseOf<D[M]>, OutputOf<D[M]>> {
  const name = shapesOf(service.protoFile).responses.get(`${service.name}/${method}`);
  if (name === undefined) throw new TypeError(`${service.name} has no method ${method}`);
  return loadMessage(service.protoFile, name);
}

/**
 * A message as the command line prints it: the names of the .proto file, every field with its default, 64-bit integers
 * as text, bytes in base64, keys sorted. Messages that are not set, and nulls in free-form JSON, are left out.
 */
export function protoJson<In, Out>(message: MessageRef<In, Out>, value: In | Out): JsonObject {
  const shape = shapesOf(message.protoFile).messages.get(message.name);
  if (shape === undefined) throw new TypeError(`no message ${message.name}`);
  // Decoded anew, so that a message put together by hand has its defaults and nothing besides its fields.
  const decoded = message.decode(message.encode(value as In));
  return printMessage(decoded as Readonly<Record<string, unknown>>, shape);
}

function printMessage(value: Readonly<Record<string, unknown>>, shape: MessageShape): JsonObject {
  const printed: Record<string, JsonValue> = {};
  for (const field of shape.fields) {
    const own = value[field.name];
    // Members of a oneof that are not the chosen one are absent, unset messages null.
    if (own !== undefined && own !== null) printed[field.name] = printField(own, field);
  }
  return sorted(printed);
}

function printField(value: unknown, field: FieldShape): JsonValue {
  if (field.message?.isMapEntry) return printMap(value as Readonly<Record<string, unknown>>, field.message);
  if (field.repeated) return (value as readonly unknown[]).map((one) => printOne(one, field));
  return printOne(value, field);
}

function printMap(value: Readonly<Record<string, unknown>>, entry: MessageShape): JsonValue {
  const field = entry.fields.find(({ name }) => name === 'value');
  if (field === undefined) throw new TypeError(`${entry.name} is no map`);
  return sorted(Object.fromEntries(Object.entries(value).map(([key, one]) => [key, printOne(one, field)])));
}

function printOne(value: unknown, field: FieldShape): JsonValue {
  if (Buffer.isBuffer(value)) return value.toString('base64');
  if (field.message === undefined) return value as JsonValue;
  const { name } = field.message;
  if (name === 'google.protobuf.Struct') return withoutNulls(fromStruct(value as Struct__Output));
  if (wrappers.has(name)) return printField((value as { value: unknown }).value, wrapped(field.message));
  if (name.startsWith('google.protobuf.') && name !== 'google.protobuf.Empty')
    throw new TypeError(`no JSON for ${name}`);
  return printMessage(value as Readonly<Record<string, unknown>>, field.message);
}

const wrappers = new Set(
  ['Double', 'Float', 'Int64', 'UInt64', 'Int32', 'UInt32', 'Bool', 'String', 'Bytes'].map(
    (type) => `google.protobuf.${type}Value`,
  ),
);

function wrapped(shape: MessageShape): FieldShape {
  const [field] = shape.fields;
  if (field === undefined) throw new TypeError(`${shape.name} wraps nothing`);
  return field;
}

function withoutNulls(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.filter((one) => one !== null).map(withoutNulls);
  if (typeof value !== 'object' || value === null) return value;
  const kept = Object.entries(value).filter(([, one]) => one !== null);
  return sorted(Object.fromEntries(kept.map(([key, one]) => [key, withoutNulls(one)])));
}

function sorted(object: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** One line of JSON as the reference's encoder writes it, with the characters escaped that mean something in HTML. */
export function jsonText(value: JsonValue): string {
  return JSON.stringify(value).replace(/[<>&\u2028\u2029]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
