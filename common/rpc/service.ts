import type { MethodDefinition, PackageDefinition } from '@grpc/proto-loader';
import type { BidiHandler, ServerStreamHandler, UnaryHandler } from './call.ts';
import { definitionsOf } from './definitions.ts';

/** What proto-loader knows of one method, its messages being whatever the .proto file says. */
export type LoadedMethod = MethodDefinition<object, object>;

declare const witness: unique symbol;

/** A gRPC service of one of our .proto files; `D` is the generated `XxxDefinition` interface. */
export interface ServiceRef<D> {
  /** Full name, such as `spire.api.server.svid.v1.SVID`. */
  readonly name: string;
  /** Path of its .proto file below `proto/`. */
  readonly protoFile: string;
  readonly methods: Readonly<Record<string, LoadedMethod>>;
  /** Never there; carries the type. */
  readonly [witness]?: D;
}

/** A request as a client gives it. */
export type InputOf<M> = M extends { requestSerialize: (value: infer Input) => Buffer } ? Input : never;
/** A response as a client gets it. */
export type OutputOf<M> = M extends { responseDeserialize: (bytes: Buffer) => infer Output } ? Output : never;
/** A request as a handler gets it. */
export type RequestOf<M> = M extends { requestDeserialize: (bytes: Buffer) => infer Request } ? Request : never;
/** A response as a handler gives it. */
export type ResponseOf<M> = M extends { responseSerialize: (value: infer Response) => Buffer } ? Response : never;

/** Each shape has a field of its own, so that the compiler can infer a handler's types from the method it answers. */
export interface UnaryMethod<Request, Response> {
  readonly kind: 'unary';
  readonly unary: UnaryHandler<Request, Response>;
}

/** A method that answers one request with a stream. */
export interface ServerStreamMethod<Request, Response> {
  readonly kind: 'server-stream';
  readonly serverStream: ServerStreamHandler<Request, Response>;
}

/** A method with a stream in each direction. */
export interface BidiMethod<Request, Response> {
  readonly kind: 'bidi';
  readonly bidi: BidiHandler<Request, Response>;
}

/** A handler with the shape of the calls it answers. */
export type MethodHandler<Request, Response> =
  | UnaryMethod<Request, Response>
  | ServerStreamMethod<Request, Response>
  | BidiMethod<Request, Response>;

/** Tags the handler of a method with one request and one response. */
export function unary<Request, Response>(handle: UnaryHandler<Request, Response>): UnaryMethod<Request, Response> {
  return { kind: 'unary', unary: handle };
}

/** Tags the handler of a method that answers with a stream. */
export function serverStream<Request, Response>(
  handle: ServerStreamHandler<Request, Response>,
): ServerStreamMethod<Request, Response> {
  return { kind: 'server-stream', serverStream: handle };
}

/** Tags the handler of a method with a stream in each direction. */
export function bidi<Request, Response>(handle: BidiHandler<Request, Response>): BidiMethod<Request, Response> {
  return { kind: 'bidi', bidi: handle };
}

/** One handler per method of the service. */
export type ServiceHandlers<D> = { readonly [K in keyof D]: MethodHandler<RequestOf<D[K]>, ResponseOf<D[K]> | Buffer> };

/** One method and, unless it is not implemented, who answers it. */
export interface ImplementedMethod {
  readonly name: string;
  readonly definition: LoadedMethod;
  readonly handler: MethodHandler<unknown, unknown> | undefined;
}

/** A service with its handlers, ready to be given to a server. */
export interface ImplementedService {
  readonly name: string;
  readonly methods: readonly ImplementedMethod[];
}

/**
 * Loads a service.
 *
 * @param protoFile path below `proto/`, such as `spire/api/server/svid/v1/svid.proto`
 * @param fullName with its package
 */
export function loadService<D>(protoFile: string, fullName: string): ServiceRef<D> {
  const definition = definitionsOf(protoFile)[fullName];
  if (definition === undefined || !isService(definition)) {
    throw new TypeError(`${protoFile} defines no service ${fullName}`);
  }
  return { name: fullName, protoFile, methods: definition };
}

function isService(definition: PackageDefinition[string]): definition is Record<string, LoadedMethod> {
  return typeof definition['format'] !== 'string';
}

/**
 * Puts handlers to a service. Methods without one answer `Unimplemented`.
 *
 * @throws TypeError when a handler has another shape than its method, such as a unary one for a stream
 */
export function implement<D>(service: ServiceRef<D>, handlers: Partial<ServiceHandlers<D>>): ImplementedService {
  const given = new Map(Object.entries(handlers as Readonly<Record<string, MethodHandler<unknown, unknown>>>));
  for (const name of given.keys()) {
    if (service.methods[name] === undefined) throw new TypeError(`${service.name} has no method ${name}`);
  }
  return {
    name: service.name,
    methods: Object.entries(service.methods).map(([name, definition]) => {
      const handler = given.get(name);
      if (handler !== undefined && handler.kind !== kindOf(definition)) {
        throw new TypeError(`${service.name}/${name} is ${kindOf(definition)}, its handler is ${handler.kind}`);
      }
      return { name, definition, handler };
    }),
  };
}

function kindOf(method: LoadedMethod): MethodHandler<unknown, unknown>['kind'] | 'client-stream' {
  if (method.requestStream) return method.responseStream ? 'bidi' : 'client-stream';
  return method.responseStream ? 'server-stream' : 'unary';
}

/**
 * Encodes a response ahead of time; handlers may give the bytes in place of the message, to as many calls as they like.
 */
export function encodeResponse<D, M extends keyof D & string>(
  service: ServiceRef<D>,
  method: M,
  response: ResponseOf<D[M]>,
): Buffer {
  return methodOf(service, method).responseSerialize(response as object);
}

/** @throws TypeError when the service has no such method */
export function methodOf<D>(service: ServiceRef<D>, method: keyof D & string): LoadedMethod {
  const definition = service.methods[method];
  if (definition === undefined) throw new TypeError(`${service.name} has no method ${method}`);
  return definition;
}
