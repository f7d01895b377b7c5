import { SpiffeError } from '../error.ts';
import { isJsonObject, JsonError, readJson } from '../json.ts';

/** The header field of a WIT-SVID (WIMSE workload-creds). */
export const WIT_HEADER = 'Workload-Identity-Token';

/** The header field of the proof beside it (WPT 2). */
export const WPT_HEADER = 'Workload-Proof-Token';

/** A WIT-SVID and its proof as a message carries them. */
export interface WitCredentials {
  readonly wit: string;
  readonly proof: string;
}

/** Every value of the header fields of one request; a field that is not there has none. */
export interface WitHeaderValues {
  readonly identityTokens: readonly string[];
  readonly proofTokens: readonly string[];
  readonly authorization: readonly string[];
}

/** WIMSE workload-creds and WPT 2: three parts of base64url, and nothing around them. */
const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;
const LIMITS = { maxLength: 64 * 1024, maxDepth: 32 };

/**
 * The audience that the sender of an HTTP request gives to its proof: the target URI without query and fragment (WPT 2).
 *
 * @throws SpiffeError `invalid-wit-svid` for what is not an http or https URL, or has user information
 */
export function proofAudience(target: string | URL): string {
  const url = urlOf(target);
  if (url.username !== '' || url.password !== '') throw invalid('URL has user information');
  return `${url.origin}${url.pathname}`;
}

/**
 * The audience that the recipient of an HTTP request expects. A path that senders would write differently is refused: a
 * proof for `/b` must not be good for `/a/%2e%2e/b`, which the recipient may take for something below `/a`.
 *
 * @param base what the recipient is configured with: its origin, and a path where what lies before it is cut off on the
 * way. Never `Host` or `X-Forwarded-Host`, which the sender chooses (WPT 3.1).
 * @param requestTarget the path and query of the request line (RFC 9112 3.2.1), or `:path` of HTTP/2
 * @throws SpiffeError `invalid-wit-svid`
 */
export function requestAudience(base: string | URL, requestTarget: string): string {
  const [path = ''] = requestTarget.split('?');
  if (!path.startsWith('/')) throw invalid('request target is not a path');
  const expected = `${proofAudience(base).replace(/\/$/, '')}${path}`;
  if (proofAudience(expected) !== expected) throw invalid('path of the request is not in its normal form');
  return expected;
}

/**
 * The header fields that present a WIT-SVID. They go only over a channel that nobody else can read (WIT-SVID 7.3).
 *
 * @param options.insecure allows http, for links that are protected by other means
 * @throws SpiffeError `invalid-wit-svid`
 */
export function witHeaders(
  target: string | URL,
  { wit, proof }: WitCredentials,
  options: { readonly insecure?: boolean } = {},
): Readonly<Record<typeof WIT_HEADER | typeof WPT_HEADER, string>> {
  const { protocol } = urlOf(target);
  if (protocol !== 'https:' && options.insecure !== true) throw invalid('a WIT-SVID is sent over https only');
  if (!COMPACT.test(wit)) throw invalid('WIT-SVID is not a compact token');
  if (!COMPACT.test(proof)) throw invalid('WIT-SVID comes without a proof of possession');
  return { [WIT_HEADER]: wit, [WPT_HEADER]: proof };
}

/**
 * The WIT-SVID and proof of a request: exactly one of each (WPT 2), and no WIT-SVID as a bearer token (WIT-SVID 5).
 *
 * @throws SpiffeError `invalid-wit-svid`
 */
export function witCredentialsOf({ identityTokens, proofTokens, authorization }: WitHeaderValues): WitCredentials {
  refuseWitInAuthorization(authorization);
  return { wit: onlyToken(identityTokens, WIT_HEADER), proof: onlyToken(proofTokens, WPT_HEADER) };
}

/**
 * Refuses a WIT-SVID in `Authorization`, where it must never be (WIT-SVID 5).
 *
 * @throws SpiffeError `invalid-wit-svid`
 */
export function refuseWitInAuthorization(authorization: readonly string[]): void {
  const words = authorization.flatMap((value) => value.split(/[\s,]+/));
  if (words.some(isWit)) throw invalid('a WIT-SVID is not a bearer token');
}

/** By its header; what cannot be read is no WIT-SVID. */
function isWit(word: string): boolean {
  const [head = '', ...rest] = word.split('.');
  if (rest.length === 0) return false;
  try {
    const header = readJson(Buffer.from(head, 'base64url'), LIMITS);
    return isJsonObject(header) && header['typ'] === 'wit+jwt';
  } catch (error) {
    if (error instanceof JsonError) return false;
    throw error;
  }
}

function onlyToken(values: readonly string[], name: string): string {
  const [only, ...others] = values;
  if (only === undefined) throw invalid(`request has no ${name} header`);
  if (others.length > 0) throw invalid(`request has more than one ${name} header`);
  const token = only.trim();
  if (!COMPACT.test(token)) throw invalid(`${name} header is not a compact token`);
  return token;
}

function urlOf(target: string | URL): URL {
  const url = URL.canParse(String(target)) ? new URL(target) : undefined;
  if (url === undefined || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw invalid('not an http or https URL');
  }
  return url;
}

function invalid(message: string): SpiffeError {
  return new SpiffeError('invalid-wit-svid', message);
}
