import { createHash } from 'node:crypto';
import { firstOfEachHint } from '../../../client/hint.ts';
import { parseSpiffeId } from '../../../spiffe/id.ts';
import type { JwsAlgorithm } from '../../../spiffe/jwt/algorithm.ts';
import { authenticateWitSvid, type WitAuthenticationExpectation } from '../../../spiffe/wit/authenticate.ts';
import { readWitSvidKey } from '../../../spiffe/wit/confirmation.ts';
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
  | { readonly do?: 'parse' | 'verify'; readonly wit?: TokenInput; readonly bundles?: BundlesInput; readonly expected?: ExpectedInput }
  | AuthenticateInput
  | { readonly do: 'issue'; readonly template: TemplateInput }
  | { readonly do: 'headers'; readonly headers: Partial<WitHeaderValues> }
  | { readonly do: 'reply'; readonly svids: readonly ReplyInput[] };

interface AuthenticateInput {
  readonly do: 'authenticate';
  readonly wit?: TokenInput;
  /** One after the other; null is no proof at all. */
  readonly proofs?: readonly (TokenInput | null)[];
  readonly bundles?: BundlesInput;
  readonly expected?: ExpectedInput;
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
  /** The text, or a JWK of which some members differ; the private key of the token when absent. */
  readonly key?: string | { readonly jwk: KeyName; readonly half?: 'public' | 'private'; readonly d?: KeyName };
  readonly hint?: string;
}

export function run(input: WitInput): unknown {
  switch (input.do) {
    case undefined:
    case 'verify':
      return verifyUnprovenWitSvid(tokenOf(input.wit ?? {}, PERFECT), expectationOf(input));
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
  }
}

function expectationOf({ bundles, expected: { now = NOW, ...options } = {} }: {
  readonly bundles?: BundlesInput;
  readonly expected?: ExpectedInput;
}): WitSvidExpectation {
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
  const { key, algorithm, private: isPrivate } = { private: false, key: 'mine' as const, algorithm: 'ES256' as const, ...confirmation };
  const pair = keyPair(key);
  return witSvidClaims({
    expiresAt: NOW + 3600,
    ...template,
    id: parseSpiffeId(sub),
    confirmation: { key: isPrivate ? pair.privateKey : pair.publicKey, algorithm },
    ...(random && { random: Buffer.from(random.hex, 'hex') }),
  });
}

/** `$wit` stands for a perfect token. */
function credentialsOf({ identityTokens = [], proofTokens = [], authorization = [] }: Partial<WitHeaderValues>): unknown {
  const wit = tokenOf({}, PERFECT);
  const [ids, proofs, bearers] = [identityTokens, proofTokens, authorization].map((values) =>
    values.map((value) => value.replaceAll('$wit', wit)),
  );
  const { wit: found, proof } = witCredentialsOf({
    identityTokens: ids ?? [],
    proofTokens: proofs ?? [],
    authorization: bearers ?? [],
  });
  return { isThere: found === wit, proof };
}

/** What a client makes of the agent's answer: each key must be that of its token, and the first of each hint counts. */
function readReply(svids: readonly ReplyInput[]): unknown {
  const read = svids.map(({ wit = {}, key = { jwk: 'mine' }, hint = '' }) => {
    const svid = parseWitSvid(tokenOf(wit, PERFECT));
    const { privateKey, algorithm } = readWitSvidKey(keyText(key), svid.confirmation);
    return { id: svid.id, hint, algorithm, type: privateKey.type };
  });
  return { svids: firstOfEachHint(read) };
}

function keyText(key: NonNullable<ReplyInput['key']>): string {
  if (typeof key === 'string') return key;
  const { jwk, half = 'private', d } = key;
  return JSON.stringify({ ...jwkOf(half, jwk), ...(d !== undefined && { d: jwkOf('private', d)['d'] }) });
}
