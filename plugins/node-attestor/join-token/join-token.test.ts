import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../../common/clock.ts';
import { pluginContext } from '../../../test/support/plugin-context.ts';
import type { ServerNodeAttestor } from '../contract.ts';
import { joinTokenAgentAttestor, joinTokenNodeAttestor } from './join-token.ts';

const EXPIRES_AT = Date.UTC(2026, 0, 1, 1) / 1000;
const noChallenge = async (): Promise<Buffer> => {
  throw new Error('no challenge is expected');
};

async function serverHalf(clock: ManualClock, tokens: Map<string, number>): Promise<ServerNodeAttestor> {
  const joinTokens = {
    async consume(token: string) {
      const expiresAt = tokens.get(token);
      tokens.delete(token);
      return expiresAt === undefined ? undefined : { expiresAt };
    },
  };
  return joinTokenNodeAttestor.create({}, pluginContext({ clock }), { joinTokens, isAttested: async () => false });
}

describe('join_token on the server', () => {
  it('admits the holder of a token once', async () => {
    const attestor = await serverHalf(new ManualClock(EXPIRES_AT * 1000), new Map([['abc', EXPIRES_AT]]));
    expect(await attestor.attest(Buffer.from('abc'), noChallenge)).toEqual({
      agentId: 'spiffe://example.org/spire/agent/join_token/abc',
      selectors: [],
      canReattest: false,
    });
    await expect(attestor.attest(Buffer.from('abc'), noChallenge)).rejects.toMatchObject({
      code: 'invalid-argument',
      message: 'failed to attest: join token does not exist or has already been used',
    });
  });

  it('refuses a token after its expiry, and it is gone then', async () => {
    const tokens = new Map([['abc', EXPIRES_AT]]);
    const attestor = await serverHalf(new ManualClock(EXPIRES_AT * 1000 + 1), tokens);
    await expect(attestor.attest(Buffer.from('abc'), noChallenge)).rejects.toMatchObject({
      code: 'invalid-argument',
      message: 'join token expired',
    });
    expect(tokens.size).toBe(0);
  });

  it('names no token that cannot be part of an ID', async () => {
    const attestor = await serverHalf(new ManualClock(), new Map([['../s3cret', EXPIRES_AT]]));
    const refused = attestor.attest(Buffer.from('../s3cret'), noChallenge);
    await expect(refused).rejects.toMatchObject({ code: 'invalid-id' });
    await expect(refused).rejects.not.toThrow(/s3cret/);
  });
});

describe('join_token on the agent', () => {
  it('shows its token and answers no challenge', async () => {
    const attestor = await joinTokenAgentAttestor.create({}, pluginContext(), { joinToken: 'abc' });
    expect(attestor.type).toBe('join_token');
    const attestation = await attestor.begin();
    expect(attestation.payload.toString()).toBe('abc');
    await expect(attestation.respond(Buffer.from('?'))).rejects.toMatchObject({ code: 'internal' });
  });

  it.each([undefined, ''])('fails without a token (%j)', async (joinToken) => {
    const attestor = await joinTokenAgentAttestor.create({}, pluginContext(), { joinToken });
    await expect(attestor.begin()).rejects.toMatchObject({
      code: 'invalid-argument',
      message: 'join token was not provided',
    });
  });
});
