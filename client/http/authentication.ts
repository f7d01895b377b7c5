import type { IncomingMessage } from 'node:http';
import { FinialError, hasCode, toFinialError } from '../../common/errors.ts';
import type { SpiffeId } from '../../spiffe/id.ts';
import { type Authorize, requireAuthorized } from '../authorize.ts';
import type { JwtSource } from '../jwt-source.ts';
import { peerIdOf } from '../tls/peer.ts';

/** Who sent a request, as was proved. */
export interface AuthenticatedPeer {
  readonly id: SpiffeId;
  /** What proved it: the certificate of the connection, or a token of the request. */
  readonly by: 'x509-svid' | 'jwt-svid';
}

/** How requests prove who sent them. At least one of `jwt` and `mtls` must be given. */
export interface AuthenticationOptions {
  /** Accepts JWT-SVIDs in `Authorization: Bearer` (JWT-SVID 5.2). */
  readonly jwt?: {
    /** Judges tokens; `local` spares a call per token, the agent's judgement is what the standard prefers. */
    readonly source: Pick<JwtSource, 'validate' | 'validateLocally'>;
    /** The name of this service; tokens must have been made for it. */
    readonly audience: string;
    readonly local?: boolean;
  };
  /** Accepts the certificate of a connection that this library's server has verified. A token, if sent, must still hold. */
  readonly mtls?: boolean;
  readonly authorize: Authorize;
  /** Hears why a request was turned away; the caller is told no more than the status. */
  readonly onRefused?: (error: FinialError) => void;
}

/** Why a request is turned away, in terms of HTTP. */
export interface Refusal {
  readonly status: 401 | 403 | 503;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** The outcome of looking at one request. */
export type Authentication = { readonly peer: AuthenticatedPeer } | { readonly refusal: Refusal };

/** What of a request is looked at, in any framework. */
export interface RequestCredentials {
  /** Every `Authorization` header that was sent. */
  readonly authorization: readonly string[];
  /** The request, or its connection, that the client's certificate belongs to; absent where there is none. */
  readonly connection: IncomingMessage | undefined;
}

/**
 * Makes the judge that all middleware shares. A request is let in when what it shows is valid and authorized; nothing
 * it shows is ever repeated in an answer.
 *
 * @throws FinialError `invalid-argument` when no way to authenticate is given
 */
export function authentication(
  options: AuthenticationOptions,
): (request: RequestCredentials) => Promise<Authentication> {
  const { authorize, jwt, mtls = false, onRefused } = options;
  if (jwt === undefined && !mtls) {
    throw new FinialError('invalid-argument', 'middleware needs jwt or mtls: it would let nobody in');
  }
  if (jwt?.audience === '') throw new FinialError('invalid-argument', 'an audience must be given');
  return async ({ authorization, connection }) => {
    try {
      const peer =
        jwt !== undefined && (authorization.length > 0 || !mtls)
          ? { id: await judgeToken(bearerToken(authorization), jwt), by: 'jwt-svid' as const }
          : { id: peerOfConnection(connection), by: 'x509-svid' as const };
      requireAuthorized(authorize, peer.id);
      return { peer };
    } catch (thrown) {
      const error = toFinialError(thrown);
      onRefused?.(error);
      return { refusal: refusalOf(error, jwt !== undefined) };
    }
  };
}

async function judgeToken(
  token: string,
  { source, audience, local = false }: NonNullable<AuthenticationOptions['jwt']>,
): Promise<SpiffeId> {
  try {
    return local ? (await source.validateLocally(token, audience)).id : (await source.validate(token, audience)).id;
  } catch (thrown) {
    const error = toFinialError(thrown);
    // Only a judgement refuses a token; that nobody can be asked for one says nothing about the caller.
    const isJudgement = error.code === 'invalid-argument' || error.code === 'unauthenticated';
    if (isJudgement) throw new FinialError('unauthenticated', error.message, { cause: error });
    throw new FinialError('unavailable', `token cannot be judged: ${error.message}`, { cause: error });
  }
}

/** RFC 6750 2.1, and only once: with two, nobody could say which of them speaks for the caller. */
function bearerToken(authorization: readonly string[]): string {
  const [only, ...others] = authorization;
  if (only === undefined) throw new FinialError('unauthenticated', 'request has no Authorization header');
  if (others.length > 0) throw new FinialError('unauthenticated', 'request has more than one Authorization header');
  const token = /^Bearer +([A-Za-z0-9._~+/=-]+) *$/i.exec(only)?.[1];
  if (token === undefined) throw new FinialError('unauthenticated', 'Authorization header is not a bearer token');
  return token;
}

function peerOfConnection(connection: IncomingMessage | undefined): SpiffeId {
  if (connection === undefined) throw new FinialError('unauthenticated', 'request did not come over mutual TLS');
  return peerIdOf(connection);
}

function refusalOf(error: FinialError, usesTokens: boolean): Refusal {
  const challenge: Record<string, string> = usesTokens ? { 'www-authenticate': 'Bearer' } : {};
  const type = { 'content-type': 'text/plain; charset=utf-8' };
  if (hasCode(error, 'permission-denied')) return { status: 403, headers: type, body: 'forbidden\n' };
  if (hasCode(error, 'unavailable')) return { status: 503, headers: type, body: 'authentication is not available\n' };
  return { status: 401, headers: { ...type, ...challenge }, body: 'unauthorized\n' };
}
