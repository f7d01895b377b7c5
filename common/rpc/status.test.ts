import { Metadata } from '@grpc/grpc-js';
import { assert, integer, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SpiffeError } from '../../spiffe/error.ts';
import { type DenialReason, type ErrorCode, FinialError } from '../errors.ts';
import { type Logger, silentLogger } from '../log/logger.ts';
import {
  errorCode,
  fromGrpcStatus,
  fromItemStatus,
  okItemStatus,
  publicError,
  reportedError,
  statusNumber,
  toGrpcStatus,
  toItemStatus,
} from './status.ts';

/** grpc/doc/statuscodes.md, in order from 1. */
const names: readonly ErrorCode[] = [
  'cancelled',
  'unknown',
  'invalid-argument',
  'deadline-exceeded',
  'not-found',
  'already-exists',
  'permission-denied',
  'resource-exhausted',
  'failed-precondition',
  'aborted',
  'out-of-range',
  'unimplemented',
  'internal',
  'unavailable',
  'data-loss',
  'unauthenticated',
];

const denials: readonly DenialReason[] = [
  'agent-expired',
  'agent-not-attested',
  'agent-not-active',
  'agent-banned',
  'agent-must-reattest',
];

describe('the table', () => {
  it.each(names.map((code, index) => [code, index + 1] as const))('maps %s to %i and back', (code, number) => {
    expect(statusNumber(code)).toBe(number);
    expect(errorCode(number)).toBe(code);
  });

  it('takes numbers it does not know for unknown', () => {
    expect(errorCode(17)).toBe('unknown');
    expect(errorCode(-1)).toBe('unknown');
  });
});

describe('item statuses', () => {
  it('carry code and message, and come back as the same error', () => {
    const status = toItemStatus(new FinialError('already-exists', 'similar entry already exists'));
    expect(status).toEqual({ code: 6, message: 'similar entry already exists' });
    expect(fromItemStatus(status)).toMatchObject({ code: 'already-exists', message: 'similar entry already exists' });
  });

  it('are no error when OK', () => {
    expect(fromItemStatus(okItemStatus)).toBeUndefined();
    expect(fromItemStatus(null)).toBeUndefined();
  });
});

describe('what callers may know', () => {
  it('is the message of our own errors', () => {
    expect(publicError(new SpiffeError('invalid-id', 'scheme is missing'))).toMatchObject({
      code: 'invalid-argument',
      message: 'scheme is missing',
    });
    expect(publicError(new DOMException('stop', 'AbortError'))).toMatchObject({ code: 'cancelled' });
  });

  it.each([new TypeError('x of undefined'), 'text', undefined, { code: 7 }])('is nothing of %s', (thrown) => {
    expect(toItemStatus(thrown)).toEqual({ code: 13, message: 'internal error' });
    expect(publicError(thrown).cause).toBe(thrown);
  });

  it('is logged when it is a defect, and only then', () => {
    const lines: unknown[] = [];
    const log: Logger = { ...silentLogger, error: (_message, fields) => lines.push(fields) };
    reportedError(new FinialError('not-found', 'no'), '/a/B', log);
    expect(lines).toEqual([]);
    const defect = new TypeError('x of undefined');
    reportedError(defect, '/a/B', log);
    expect(lines).toEqual([{ method: '/a/B', error: 'x of undefined', stack: defect.stack }]);
  });
});

describe('denials', () => {
  it('travel as the reference encodes them', () => {
    const status = toGrpcStatus(new FinialError('permission-denied', 'agent is banned', { denial: 'agent-banned' }));
    const [trailer] = status.metadata.get('grpc-status-details-bin');
    expect(Buffer.isBuffer(trailer) && trailer.toString('hex')).toBe(
      '0807120f6167656e742069732062616e6e65641a410a3b747970652e676f6f676c65617069732e636f6d2f73706972652e6170692e' +
        '74797065732e5065726d697373696f6e44656e69656444657461696c7312020804',
    );
  });

  it.each(denials)('come back: %s', (denial) => {
    const error = new FinialError('permission-denied', 'no', { denial });
    expect(fromGrpcStatus(toGrpcStatus(error))).toMatchObject({ code: 'permission-denied', message: 'no', denial });
  });

  it('are absent when the trailer is missing, foreign or broken', () => {
    expect(toGrpcStatus(new FinialError('permission-denied', 'no')).metadata.getMap()).toEqual({});
    expect(fromGrpcStatus({ code: 7, details: 'no' }).denial).toBeUndefined();
    for (const bytes of ['', '08', '1a020a00', '1a080a042f612e621200', 'ffffff']) {
      const metadata = new Metadata();
      metadata.set('grpc-status-details-bin', Buffer.from(bytes, 'hex'));
      expect(fromGrpcStatus({ code: 7, details: 'no', metadata })).toMatchObject({ message: 'no', denial: undefined });
    }
  });
});

describe('messages', () => {
  it('fit a header whatever they hold', () => {
    assert(
      property(string({ unit: integer({ min: 0, max: 0xffff }).map((n) => String.fromCharCode(n)) }), (text) => {
        expect(() => encodeURI(toGrpcStatus(new FinialError('internal', text)).details)).not.toThrow();
      }),
    );
    expect(toGrpcStatus(new FinialError('internal', 'x'.repeat(100_000))).details).toHaveLength(4096);
  });
});
