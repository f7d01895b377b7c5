import { expect, it } from 'vitest';
import { type Logger, silentLogger } from '../../../common/log/logger.ts';
import { emptyBundle } from '../../../spiffe/bundle/bundle.ts';
import { parseTrustDomain } from '../../../spiffe/trust-domain.ts';
import type { WorkloadUpdate } from '../../cache/contract.ts';
import { encodeOnce, onChange } from './encoded.ts';

const update = (): WorkloadUpdate => ({
  identities: [],
  bundle: emptyBundle(parseTrustDomain('example.org')),
  federatedBundles: new Map(),
});

it('encodes an update once for all streams, and another one anew', () => {
  const encode = encodeOnce(() => Buffer.from('bytes'), silentLogger);
  const first = update();
  expect(encode(first)).toBe(encode(first));
  expect(encode(update())).not.toBe(encode(first));
});

it('warns once per update of a response that clients may not accept', () => {
  const warned: unknown[] = [];
  const log: Logger = { ...silentLogger, warn: (_message, fields) => void warned.push(fields) };
  const large = 3 * 1024 * 1024 + 1;
  const encode = encodeOnce(() => Buffer.alloc(large), log);
  const first = update();
  encode(first);
  encode(first);
  expect(warned).toEqual([{ size: large }]);
});

it('lets through only what differs from what went before', () => {
  const isNew = onChange();
  expect(['a', 'a', 'b', 'a'].map((text) => isNew(Buffer.from(text)))).toEqual([true, false, true, true]);
});
