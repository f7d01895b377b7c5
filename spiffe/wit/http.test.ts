import { describe, expect, it } from 'vitest';
import { proofAudience, requestAudience, refuseWitInAuthorization, witCredentialsOf, witHeaders } from './http.ts';

// What recipients refuse is in test/vectors/wit-svid.json, V-W-43.

const wit = 'a.b.c';
const proof = 'd.e.f';

describe('witHeaders', () => {
  it('names the two header fields', () => {
    const headers = witHeaders('https://example.org/x', { wit, proof });
    expect(headers).toEqual({ 'Workload-Identity-Token': wit, 'Workload-Proof-Token': proof });
    const read = witCredentialsOf({ identityTokens: [wit], proofTokens: [` ${proof} `], authorization: [] });
    expect(read).toEqual({ wit, proof });
  });

  it('goes over https only, unless told that the link is protected', () => {
    const plain = 'http://localhost:8080/';
    expect(() => witHeaders(plain, { wit, proof })).toThrow('a WIT-SVID is sent over https only');
    expect(witHeaders(plain, { wit, proof }, { insecure: true })).toHaveProperty('Workload-Proof-Token');
  });

  it.each([
    ['no proof', { wit, proof: '' }, 'comes without a proof'],
    ['no token', { wit: '', proof }, 'is not a compact token'],
    ['a line break', { wit: 'a.b.c\r\nx: y', proof }, 'is not a compact token'],
    ['a line break at the end', { wit: 'a.b.c\n', proof }, 'is not a compact token'],
  ])('refuses %s', (_what, credentials, message) => {
    expect(() => witHeaders('https://example.org/', credentials)).toThrow(message);
  });

  it.each(['', 'example.org', 'ftp://example.org', 'wss://example.org', 'javascript:alert(1)'])(
    'has no way to %s',
    (url) => {
      expect(() => witHeaders(url, { wit, proof }, { insecure: true })).toThrow('not an http or https URL');
    },
  );
});

describe('proofAudience', () => {
  it.each([
    ['https://example.org', 'https://example.org/'],
    ['https://EXAMPLE.org:443/a/../b?query#fragment', 'https://example.org/b'],
    ['https://example.org:8443/a%20b', 'https://example.org:8443/a%20b'],
    ['http://example.org/?', 'http://example.org/'],
  ])('of %s is %s', (url, audience) => {
    expect(proofAudience(url)).toBe(audience);
    expect(proofAudience(new URL(url))).toBe(audience);
  });

  it('refuses user information, which must not travel', () => {
    expect(() => proofAudience('https://user:secret@example.org/')).toThrow('URL has user information');
  });
});

describe('requestAudience', () => {
  it.each([
    ['https://example.org', '/a?query', 'https://example.org/a'],
    ['https://example.org/', '/', 'https://example.org/'],
    ['https://example.org:8443', '/a//b/', 'https://example.org:8443/a//b/'],
    ['https://example.org/prefix/', '/a%20b', 'https://example.org/prefix/a%20b'],
    ['https://example.org', '//evil.test/a', 'https://example.org//evil.test/a'],
  ])('of %s and %s is what a sender writes', (base, target, audience) => {
    expect(requestAudience(base, target)).toBe(audience);
    expect(proofAudience(`${base.replace(/\/$/, '')}${target}`)).toBe(audience);
  });

  it.each(['', '*', 'a', '.evil.test/a', '@evil.test/a', ':1/a', 'https://evil.test/a', 'example.org:443'])(
    'takes no "%s", which is no path',
    (target) => {
      expect(() => requestAudience('https://example.org', target)).toThrow('request target is not a path');
    },
  );

  it.each(['/a/../b', '/a/%2e%2e/b', '/a/%2E./b', '/./b', '/a\\..\\b', '/a#b', '/\u00e9', '/a b', '/a\tb'])(
    'takes no "%s", which is another path to senders',
    (target) => {
      expect(() => requestAudience('https://example.org', target)).toThrow('not in its normal form');
    },
  );
});

describe('refuseWitInAuthorization', () => {
  const bearer = (header: string): readonly string[] => [`Bearer ${Buffer.from(header).toString('base64url')}.b.c`];

  it.each(['{"typ":"wit+jwt"}', '{"t\\u0079p" : "wit\\u002bjwt","alg":"ES256"}'])(
    'knows a WIT-SVID by %s',
    (header) => {
      expect(() => refuseWitInAuthorization(bearer(header))).toThrow('a WIT-SVID is not a bearer token');
    },
  );

  it.each(['{"typ":"JWT"}', '{}', '[]', 'wit+jwt', '{"x":{"typ":"wit+jwt"}}'])('lets %s pass', (header) => {
    expect(() => refuseWitInAuthorization(bearer(header))).not.toThrow();
  });
});
