import { Metadata } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { authorizationHeader, authorizationMetadata, bearerHeaders, requireConfidential } from './bearer.ts';

const encode = (header: object): string => Buffer.from(JSON.stringify(header)).toString('base64url');
const token = `${encode({ alg: 'ES256', typ: 'JWT' })}.e30.AAAA`;

describe('a JWT-SVID on its way', () => {
  it('is a bearer token in HTTP', () => {
    expect(authorizationHeader(token)).toBe(`Bearer ${token}`);
    expect(bearerHeaders('https://example.org/a', token)).toEqual({ authorization: `Bearer ${token}` });
    const request = new Request('https://example.org/a', { headers: bearerHeaders('https://example.org/a', token) });
    expect(request.headers.get('Authorization')).toBe(`Bearer ${token}`);
  });

  it('is a bearer token in gRPC', () => {
    const metadata = new Metadata();
    metadata.set(...authorizationMetadata(token));
    expect(metadata.get('authorization')).toEqual([`Bearer ${token}`]);
  });

  it.each(['http://example.org/', 'http://localhost:1/', 'HTTP://example.org', new URL('http://example.org')])(
    'does not go to %s unless told so',
    (target) => {
      expect(() => bearerHeaders(target, token)).toThrow('a token is sent over https only');
      expect(bearerHeaders(target, token, { insecure: true })).toHaveProperty('authorization');
    },
  );

  it.each(['', 'example.org', '/path', 'ftp://example.org', 'ws://example.org', 'file:///x'])(
    'has no way to "%s"',
    (url) => {
      expect(() => requireConfidential(url, { insecure: true })).toThrow('not an http or https URL');
    },
  );

  it.each(['', 'a b', 'a.b', 'a.b.c.d', `${token}\r\nX: y`, `${token}\n`, `${token},${token}`])('is not %j', (text) => {
    expect(() => authorizationHeader(text)).toThrow('must be a compact token');
  });

  it('is not a WIT-SVID', () => {
    const wit = `${encode({ alg: 'ES256', typ: 'wit+jwt', kid: 'k' })}.e30.AAAA`;
    expect(() => bearerHeaders('https://example.org/', wit)).toThrow('a WIT-SVID is not a bearer token');
    expect(() => authorizationMetadata(wit)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  });

  it('shows up in no message', () => {
    expect(() => bearerHeaders('http://example.org/', token)).toThrow(expect.not.stringContaining(token));
  });
});
