import { describe, expect, it } from 'vitest';
import { socketPathOf } from './endpoint.ts';

describe('socketPathOf', () => {
  it.each([
    ['unix:///run/api.sock', '/run/api.sock'],
    ['unix:/run/api.sock', '/run/api.sock'],
  ])('reads %s', (address, path) => {
    expect(socketPathOf(address)).toBe(path);
  });

  it('falls back to the environment', () => {
    expect(socketPathOf(undefined, { SPIFFE_ENDPOINT_SOCKET: 'unix:///a' })).toBe('/a');
    expect(() => socketPathOf(undefined, {})).toThrow(/set SPIFFE_ENDPOINT_SOCKET/);
  });

  it.each([
    '',
    '/run/api.sock',
    'http://x',
    'unix:api.sock',
    'unix://host/api.sock',
    'unix:///a?b',
    'unix:///a#b',
    'unix:',
  ])('refuses %j', (address) => {
    expect(() => socketPathOf(address, {})).toThrow(/Workload API address/);
  });
});
