import { createHash } from 'node:crypto';
import { readWitSvids } from '../../../client/wit-svids.ts';
import { parseSpiffeId } from '../../../spiffe/id.ts';
import type { JwsAlgorithm } from '../../../spiffe/jwt/algorithm.ts';
import { authenticateWitSvid, type WitAuthenticationExpectation } from '../../../spiffe/wit/authenticate.ts';
import { witCredentialsOf, type WitHeaderValues } from '../../../spiffe/wit/http.ts';
import { memoryReplayCache } from '../../../spiffe/wit/replay.ts';
import { witSvidClaims, type WitSvidTemplate } from '../../../spiffe/wit/sign.ts';
import { parseWitSvid } from '../../../spiffe/wit/token.ts';
import { verifyUnprovenWitSvid, type WitSvidExpectation } from '../../../spiffe/wit/verify.ts';
import {
  type BundlesInput,
  bundlesOf,
  jwkOf,
  type KeyName,
  keyPair,
  type MadeToken,
  type Perfect,
  type TokenInput,
  tokenOf,
} from './token-input.ts';

/** Unix seconds of the vectors' clock: 2026-01-01T00:00:00Z. */
export const NOW = 1_767_225_600;
/** Whom proofs are for. */
export const AUDIENCE = 'https://td1.test/a';

export const PERFECT: Perfect = {
  header: { alg: 'ES256', typ: 'wit+jwt' },
  claims: {
    sub: 'spiffe://td1.test/web',
    exp: NOW + 3600,
    iat: NOW,
    cnf: { jwk: { $jwk: 'public:mine', alg: 'ES256' } },
  },
};
const USE = 'wit-svid';
export const BUNDLES: BundlesInput = {
  'td1.test': [
    { key: 'p256', use: USE },
    { key: 'p384', use: USE },
    { key: 'p521', use: USE },
    { key: 'rsa', use: USE },
  ],
  'td2.test': [{ key: 'other', use: USE }],
  'empty.test': [],
};

/** Options of the judge; `now` in Unix seconds. */
type ExpectedInput = Partial<Omit<WitAuthenticationExpectation, 'authorities' | 'replays'>>;

export type WitInput =
  | VerifyInput
  | AuthenticateInput
  | { readonly do: 'issue'; readonly template: TemplateInput }
  | { readonly do: 'headers'; readonly headers: Partial<WitHeaderValues> }
  | { readonly do: 'reply'; readonly svids: readonly ReplyInput[] };

interface VerifyInput {
  readonly do?: 'parse' | 'verify';
  readonly wit?: TokenInput;
  readonly bundles?: BundlesInput;
  readonly expected?: ExpectedInput;
}

interface AuthenticateInput extends Omit<VerifyInput, 'do'> {
  readonly do: 'authenticate';
  /** One after the other; null is no proof at all. */
  readonly proofs?: readonly (TokenInput | null)[];
  /** Whether a proof is accepted only once. */
  readonly once?: boolean;
}

type TemplateInput = Partial<Omit<WitSvidTemplate, 'id' | 'confirmation' | 'random'>> & {
  readonly sub?: string;
  readonly confirmation?: { readonly key: KeyName; readonly algorithm: JwsAlgorithm; readonly private?: true };
  readonly random?: { readonly hex: string };
};

interface ReplyInput {
  readonly wit?: TokenInput;
  /** The text, or a JWK, perhaps with the secret of another key or one in hexadecimal; that of the token when absent. */
  readonly key?:
    | string
    | { readonly jwk: KeyName; readonly half?: 'public' | 'private'; readonly d?: KeyName; readonly secret?: string };
  readonly hint?: string;
  /** That of the token when absent. */
  readonly id?: string;
}

export function run(input: WitInput): unknown {
  switch (input.do) {
    case 'parse':
      return parseWitSvid(tokenOf(input.wit ?? {}, PERFECT));
    case 'authenticate':
      return authenticate(input);
    case 'issue':
      return issue(input.template);
    case 'headers':
      return credentialsOf(input.headers);
    case 'reply':
      return readReply(input.svids);
    case 'verify':
    case undefined:
      return verifyUnprovenWitSvid(tokenOf(input.wit ?? {}, PERFECT), expectationOf(input));
  }
  throw new Error('a vector of this kind does something else');
}

type Judging = Pick<VerifyInput, 'bundles' | 'expected'>;

function expectationOf({ bundles, expected: { now = NOW, ...options } = {} }: Judging): WitSvidExpectation {
  const read = bundlesOf({ ...BUNDLES, ...bundles });
  return { authorities: (td) => read.get(td)?.witAuthorities, now: now * 1000, ...options };
}

async function authenticate(input: AuthenticateInput): Promise<unknown> {
  const wit = tokenOf(input.wit ?? {}, PERFECT);
  const expected: WitAuthenticationExpectation = {
    audience: [AUDIENCE],
    ...(input.once === true && { replays: memoryReplayCache() }),
    ...expectationOf(input),
  };
  let peer: unknown;
  for (const proof of input.proofs ?? [{}]) {
    peer = await authenticateWitSvid(wit, proof === null ? '' : proofOf(wit, proof), expected);
  }
  return peer;
}

/** A proof that is perfect but for what is said; `{"$hash": "x"}` stands for the hash of a token. */
function proofOf(wit: string, input: TokenInput): string {
  const claims = { aud: AUDIENCE, exp: NOW + 30, jti: 'proof', wth: hash(wit) };
  if ('text' in input) return tokenOf(input, { header: {}, claims });
  return tokenOf(withHashes({ key: 'mine', ...input }), {
    header: { kid: undefined, alg: 'ES256', typ: 'wpt+jwt' },
    claims,
  });
}

function withHashes(input: MadeToken): MadeToken {
  const text = JSON.stringify(input);
  return JSON.parse(text.replaceAll(/\{"\$hash":"([^"]*)"\}/g, (_all, of: string) => `"${hash(of)}"`)) as MadeToken;
}

function hash(token: string): string {
  return createHash('sha256').update(token).digest('base64url');
}

function issue({ sub = 'spiffe://td1.test/web', confirmation, random, ...template }: TemplateInput): unknown {
  const { key, algorithm, private: isPrivate } = confirmation ?? { key: 'mine', algorithm: 'ES256' };
  const pair = keyPair(key);
  return witSvidClaims({
    expiresAt: NOW + 3600,
    ...template,
    id: parseSpiffeId(sub),
    confirmation: { key: isPrivate === true ? pair.privateKey : pair.publicKey, algorithm },
    ...(random && { random: Buffer.from(random.hex, 'hex') }),
  });
}

/** `$wit` stands for a perfect token. */
function credentialsOf({
  identityTokens = [],
  proofTokens = [],
  authorization = [],
}: Partial<WitHeaderValues>): unknown {
  const wit = tokenOf({}, PERFECT);
  const filled = (values: readonly string[]) => values.map((value) => value.replaceAll('$wit', wit));
  const { wit: found, proof } = witCredentialsOf({
    identityTokens: filled(identityTokens),
    proofTokens: filled(proofTokens),
    authorization: filled(authorization),
  });
  return { isThere: found === wit, proof };
}

/** What our client makes of the agent's answer. */
function readReply(svids: readonly ReplyInput[]): unknown {
  const raw = svids.map(({ wit: made = {}, key = { jwk: 'mine' }, hint = '', id }) => {
    const wit = tokenOf(made, PERFECT);
    return { spiffe_id: id ?? parseWitSvid(wit).id, wit_svid: wit, wit_svid_key: keyText(key), hint };
  });
  const read = readWitSvids({ svids: raw });
  return {
    svids: read.map(({ id, hint, key }) => ({ id, hint, algorithm: key.algorithm, type: key.privateKey.type })),
  };
}

function keyText(key: NonNullable<ReplyInput['key']>): string {
  if (typeof key === 'string') return key;
  const { jwk, half = 'private', d, secret } = key;
  return JSON.stringify({
    ...jwkOf(half, jwk),
    ...(d !== undefined && { d: jwkOf('private', d)['d'] }),
    ...(secret !== undefined && { d: Buffer.from(secret, 'hex').toString('base64url') }),
  });
}
