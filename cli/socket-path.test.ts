import { describe, expect, it } from 'vitest';
import { resolveSocketPath } from './socket-path.ts';

const naming = { defaultPath: '/tmp/default.sock', variable: 'SOCKET', templateVariable: 'TEMPLATE' };
const resolve = (flags: { socketPath?: string; instance?: string }, env: Record<string, string> = {}): string =>
  resolveSocketPath(naming, { socketPath: '/tmp/default.sock', instance: '', ...flags }, env);

describe('resolveSocketPath', () => {
  it('takes flag, instance, environment and default in that order', () => {
    const env = { SOCKET: '/env.sock', TEMPLATE: '/run/%i/%i.sock' };
    expect(resolve({ socketPath: '/flag.sock', instance: 'a' }, env)).toBe('/flag.sock');
    expect(resolve({ instance: 'a' }, env)).toBe('/run/a/a.sock');
    expect(resolve({}, env)).toBe('/env.sock');
    expect(resolve({})).toBe('/tmp/default.sock');
    expect(resolve({}, { SOCKET: '' })).toBe('/tmp/default.sock');
  });

  it('counts a flag that equals the default as unset', () => {
    expect(resolve({ socketPath: '/tmp/default.sock' }, { SOCKET: '/env.sock' })).toBe('/env.sock');
  });

  it('makes a relative path absolute', () => {
    expect(resolve({ socketPath: 'api.sock' })).toBe(`${process.cwd()}/api.sock`);
  });

  it('refuses an instance without a template, even when the flag would win', () => {
    expect(() => resolve({ socketPath: '/flag.sock', instance: 'a' })).toThrow(
      'TEMPLATE environment variable must be defined when using the instance flag',
    );
    expect(() => resolve({ instance: 'a' }, { TEMPLATE: '/run/x.sock' })).toThrow('failed to find %i in TEMPLATE');
  });
});
