import type { IncomingMessage, ServerResponse } from 'node:http';
import { FinialError, toFinialError } from '../../common/errors.ts';
import { type AuthenticatedPeer, authentication, type AuthenticationOptions, type Refusal } from './authentication.ts';

/** Requests that middleware let in, by the object that the application holds. */
const peers = new WeakMap<object, AuthenticatedPeer>();

/**
 * Who sent a request that the middleware of this module let in.
 *
 * @param request of Express, Fastify, Hono (its context), or of plain `node:http`
 * @throws FinialError `unauthenticated` when no middleware looked at it: then nothing is known of the caller
 */
export function authenticatedPeer(request: object): AuthenticatedPeer {
  const raw = 'raw' in request && typeof request.raw === 'object' && request.raw !== null ? request.raw : request;
  const peer = peers.get(request) ?? peers.get(raw);
  if (peer === undefined) throw new FinialError('unauthenticated', 'the request was not authenticated');
  return peer;
}

/** Middleware of Express and Connect, and of anything else with `(request, response, next)`. */
export type NodeMiddleware = (
  request: IncomingMessage,
  response: ServerResponse,
  next: (error?: unknown) => void,
) => void;

/**
 * Lets only authenticated and authorized requests through; `authenticatedPeer(request)` then says who it is.
 *
 *     app.use(nodeAuthentication({ jwt: { source, audience: 'shop' }, authorize: authorizeTrustDomain('example.org') }));
 *
 * @throws FinialError `invalid-argument` when the options would let nobody in
 */
export function nodeAuthentication(options: AuthenticationOptions): NodeMiddleware {
  const judge = authentication(options);
  return (request, response, next) => {
    const admit = async (): Promise<void> => {
      const outcome = await judge({ authorization: authorizationOf(request), connection: request });
      if ('refusal' in outcome) return answer(response, outcome.refusal);
      peers.set(request, outcome.peer);
      next();
    };
    // The judge answers for whatever it is shown; what fails here is the application behind `next`.
    admit().catch((error: unknown) => setImmediate(next, toFinialError(error)));
  };
}

/** The parts of Fastify's request and reply that its hook uses. */
export interface FastifyRequestLike {
  readonly raw: IncomingMessage;
}
/** See FastifyRequestLike. */
export interface FastifyReplyLike {
  code(status: number): FastifyReplyLike;
  headers(headers: Readonly<Record<string, string>>): FastifyReplyLike;
  send(body: string): unknown;
}

/** As `nodeAuthentication`, for `fastify.addHook('onRequest', fastifyAuthentication({ ... }))`. */
export function fastifyAuthentication(
  options: AuthenticationOptions,
): (request: FastifyRequestLike, reply: FastifyReplyLike) => Promise<unknown> {
  const judge = authentication(options);
  return async (request, reply) => {
    const outcome = await judge({ authorization: authorizationOf(request.raw), connection: request.raw });
    if ('refusal' in outcome) {
      const { status, headers, body } = outcome.refusal;
      // Fastify goes on with the route unless it is given back the reply that was sent.
      reply.code(status).headers(headers).send(body);
      return reply;
    }
    peers.set(request.raw, outcome.peer);
    return undefined;
  };
}

/** The parts of Hono's context that its middleware uses; other servers of fetch requests look alike. */
export interface FetchContextLike {
  readonly req: { readonly raw: Request };
  /** `@hono/node-server` keeps the request of node:http here. */
  readonly env?: unknown;
}

/** As `nodeAuthentication`, for `app.use(fetchAuthentication({ ... }))` of Hono and its like. */
export function fetchAuthentication(
  options: AuthenticationOptions,
): (context: FetchContextLike, next: () => Promise<void>) => Promise<Response | undefined> {
  const judge = authentication(options);
  return async (context, next) => {
    const header = context.req.raw.headers.get('authorization');
    const incoming = (context.env as { readonly incoming?: IncomingMessage } | undefined)?.incoming;
    // A fetch request joins repeated headers into one; what node:http got tells them apart.
    const authorization = incoming === undefined ? (header === null ? [] : [header]) : authorizationOf(incoming);
    const outcome = await judge({ authorization, connection: incoming });
    if ('refusal' in outcome) {
      const { status, headers, body } = outcome.refusal;
      return new Response(body, { status, headers });
    }
    peers.set(context, outcome.peer);
    peers.set(context.req.raw, outcome.peer);
    await next();
    return undefined;
  };
}

/** All of them: `request.headers` keeps only the first. HTTP/2 has no such list, and refuses a second one by itself. */
function authorizationOf(request: IncomingMessage): readonly string[] {
  const { headersDistinct } = request as Partial<Pick<IncomingMessage, 'headersDistinct'>>;
  const { authorization } = request.headers;
  return headersDistinct?.['authorization'] ?? (authorization === undefined ? [] : [authorization]);
}

function answer(response: ServerResponse, { status, headers, body }: Refusal): void {
  response.writeHead(status, headers).end(body);
}
