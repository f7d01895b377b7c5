import { describe, expect, it } from 'vitest';
import { FinialError } from '../common/errors.ts';
import { statusNumber } from '../common/rpc/status.ts';
import { callFailure, callText, statusName } from './failure.ts';

describe('what commands print of failed calls', () => {
  it('names codes as Go does', () => {
    expect(callText(new FinialError('not-found', 'agent not found'))).toBe(
      'rpc error: code = NotFound desc = agent not found',
    );
    expect(callText(new Error('plain'))).toBe('plain');
    expect(callFailure('listing', new FinialError('cancelled', 'x')).message).toBe(
      'listing: rpc error: code = Canceled desc = x',
    );
    expect(callFailure('', new FinialError('cancelled', 'x')).message).toBe('rpc error: code = Canceled desc = x');
  });

  it('knows the number of every code', () => {
    expect([0, 6, 16, 99].map(statusName)).toEqual(['OK', 'AlreadyExists', 'Unauthenticated', 'Code(99)']);
    expect(statusName(statusNumber('deadline-exceeded'))).toBe('DeadlineExceeded');
    expect(statusName(statusNumber('data-loss'))).toBe('DataLoss');
  });
});
