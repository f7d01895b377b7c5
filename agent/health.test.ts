import { describe, expect, it } from 'vitest';
import { FinialError } from '../common/errors.ts';
import { agentHealth } from './health.ts';

const fails = (code: 'unavailable' | 'permission-denied') => () => Promise.reject(new FinialError(code, 'no socket'));
const details = { make_new_x509_err: 'no socket' };

describe('the health of an agent', () => {
  it('is alive while it starts, so that nobody kills it for waiting for its server', async () => {
    expect(await agentHealth(false, fails('unavailable'))).toEqual({
      ...{ live: true, ready: false, starting: true },
      ...{ liveDetails: {}, readyDetails: details },
    });
    expect(await agentHealth(false, undefined)).toMatchObject({ live: true, ready: false, starting: true });
  });

  it('is neither alive nor ready once a Workload API that answered does not any more', async () => {
    expect(await agentHealth(true, fails('unavailable'))).toEqual({
      ...{ live: false, ready: false, starting: false },
      ...{ liveDetails: details, readyDetails: details },
    });
  });

  it('is good when the Workload API answers, be it with a refusal, or is switched off', async () => {
    const good = { live: true, ready: true, starting: false };
    expect(await agentHealth(true, async () => undefined)).toMatchObject(good);
    expect(await agentHealth(true, fails('permission-denied'))).toMatchObject(good);
    expect(await agentHealth(true, undefined)).toMatchObject(good);
  });
});
