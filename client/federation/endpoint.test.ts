import { expect, it } from 'vitest';
import { endpointUrl } from './endpoint.ts';

// The rules of the standard are held by test/conformance/federation.test.ts; here stands what it leaves open.
it.each([
  ['HTTPS://B.test', 'https://b.test/'],
  ['https://b.test:8443/a/b?c=d', 'https://b.test:8443/a/b?c=d'],
  ['https://[::1]:8443/', 'https://[::1]:8443/'],
  ['https://b.test/@x', 'https://b.test/@x'],
  ['https://b.test?@', 'https://b.test/?@'],
])('reads %s', (text, href) => {
  expect(endpointUrl(text).href).toBe(href);
});

it.each([
  ['https:b.test', 'must begin with https://'],
  ['https:///b.test', 'must begin with https://'],
  ['//b.test/', 'must begin with https://'],
  ['', 'must begin with https://'],
  [' https://b.test/', 'must hold no blanks'],
  ['https:\\\\b.test/', 'must hold no blanks, backslashes'],
  ['https://b.test/\u0000', 'must hold no blanks, backslashes or control characters'],
  ['https://b.test:99999/', 'is malformed'],
  ['https://@b.test/', 'must not have user information'],
  ['https://:@b.test/', 'must not have user information'],
  ['https://:secret@b.test/', 'must not have user information'],
])('refuses %j', (text, rule) => {
  expect(() => endpointUrl(text)).toThrow(rule);
});

const base = new URL('https://b.test/a/b');
it.each([
  ['../c', 'https://b.test/c'],
  ['//c.test/', 'https://c.test/'],
  ['?x@y', 'https://b.test/a/b?x@y'],
])('reads the redirect %s', (text, href) => {
  expect(endpointUrl(text, base).href).toBe(href);
});

it.each([
  ['//@c.test/', 'must not have user information'],
  ['//u@c.test/', 'must not have user information'],
  ['http:c', 'must begin with https://'],
  ['data:text/plain,x', 'must begin with https://'],
])('refuses the redirect %s', (text, rule) => {
  expect(() => endpointUrl(text, base)).toThrow(rule);
});
