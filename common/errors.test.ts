import { describe, expect, it } from 'vitest';
import { SpiffeError } from '../spiffe/error.ts';
import { FinialError, hasCode, messageOf, toFinialError, withContext } from './errors.ts';

describe('toFinialError', () => {
  it('keeps our own, translates those of the standards library, and takes the rest for defects', () => {
    const own = new FinialError('not-found', 'gone');
    expect(toFinialError(own)).toBe(own);
    expect(toFinialError(new SpiffeError('invalid-id', 'bad'))).toMatchObject({
      code: 'invalid-argument',
      message: 'bad',
    });
    expect(toFinialError(new SpiffeError('untrusted-x509-svid', 'no'))).toMatchObject({ code: 'unauthenticated' });
    expect(toFinialError(new TypeError('oops'))).toMatchObject({ code: 'internal', message: 'oops' });
    expect(toFinialError('text')).toMatchObject({ code: 'internal', message: 'text' });
    expect(toFinialError(new DOMException('stop', 'AbortError'))).toMatchObject({ code: 'cancelled' });
  });
});

describe('withContext', () => {
  it('says what was being done and keeps code, denial and cause', () => {
    const cause = new FinialError('permission-denied', 'no', { denial: 'agent-banned' });
    const error = withContext('renewing', cause);
    expect(error).toMatchObject({ code: 'permission-denied', message: 'renewing: no', denial: 'agent-banned', cause });
    expect(withContext('renewing', new Error('x')).denial).toBeUndefined();
  });
});

describe('hasCode and messageOf', () => {
  it('look at errors of ours only', () => {
    expect(hasCode(new FinialError('aborted', ''), 'aborted')).toBe(true);
    expect(hasCode(new FinialError('aborted', ''), 'unknown')).toBe(false);
    expect(hasCode({ code: 'aborted' }, 'aborted')).toBe(false);
    expect([messageOf(new Error('a')), messageOf('b'), messageOf(undefined)]).toEqual(['a', 'b', 'undefined']);
  });
});
