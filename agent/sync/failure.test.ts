import { describe, expect, it } from 'vitest';
import { type DenialReason, FinialError } from '../../common/errors.ts';
import { type FailureKind, kindOfFailure } from './failure.ts';

describe('kindOfFailure', () => {
  it.each<[DenialReason, FailureKind]>([
    ['agent-expired', 'attest'],
    ['agent-not-active', 'attest'],
    ['agent-not-attested', 'attest'],
    ['agent-must-reattest', 'attest'],
    ['agent-banned', 'banned'],
  ])('%s means %s', (denial, kind) => {
    expect(kindOfFailure(new FinialError('permission-denied', 'no', { denial }))).toBe(kind);
  });

  it('takes a refusal without a reason, and whatever is unknown, for something that may pass', () => {
    expect(kindOfFailure(new FinialError('permission-denied', 'no'))).toBe('retry');
    expect(kindOfFailure(new FinialError('unavailable', 'connection refused'))).toBe('retry');
    expect(kindOfFailure(new Error('agent-banned'))).toBe('retry');
    expect(kindOfFailure(undefined)).toBe('retry');
  });

  it('recognises a server that the bundle does not vouch for', () => {
    const error = new FinialError('unavailable', 'x509: certificate signed by unknown authority');
    expect(kindOfFailure(error)).toBe('untrusted');
  });
});
