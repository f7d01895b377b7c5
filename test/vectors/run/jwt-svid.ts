import {
  type JwtSvid,
  type JwtSvidExpectation,
  readUnverifiedJwtSvid,
  verifyJwtSvid,
} from '../../../spiffe/jwt/verify.ts';
import { type BundlesInput, bundlesOf, type Perfect, type TokenInput, tokenOf } from './token-input.ts';

/** Unix seconds of the vectors' clock: 2026-01-01T00:00:00Z. */
export const NOW = 1_767_225_600;

/** What a token is perfect with, and what it is judged by, where a vector says nothing else. */
export const PERFECT: Perfect = {
  header: { alg: 'ES256', typ: 'JWT' },
  claims: { sub: 'spiffe://td1.test/web', aud: ['a'], exp: NOW + 300, iat: NOW },
};
export const BUNDLES: BundlesInput = {
  'td1.test': [{ key: 'p256' }, { key: 'p384' }, { key: 'p521' }, { key: 'rsa' }],
  'td2.test': [{ key: 'other' }],
  'empty.test': [],
};

export interface JwtInput {
  readonly token?: TokenInput;
  readonly bundles?: BundlesInput;
  /** Options of the judge; `now` in Unix seconds. */
  readonly expected?: Partial<Omit<JwtSvidExpectation, 'authorities'>>;
  /** `parse` reads the token without judging it; `verifyTwice` judges it again. */
  readonly do?: 'parse' | 'verifyTwice';
}

export async function run({ token: made = {}, bundles, expected = {}, do: what }: JwtInput): Promise<JwtSvid> {
  const token = tokenOf(made, PERFECT);
  if (what === 'parse') return readUnverifiedJwtSvid(token);
  const read = bundlesOf({ ...BUNDLES, ...bundles });
  const { audience = ['a'], now = NOW, ...options } = expected;
  const authorities: JwtSvidExpectation['authorities'] = (td) => read.get(td)?.jwtAuthorities;
  const judge = (): Promise<JwtSvid> => verifyJwtSvid(token, { audience, authorities, now: now * 1000, ...options });
  if (what === 'verifyTwice') await judge();
  return judge();
}
