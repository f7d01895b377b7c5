import { object } from '../../../common/config/schema.ts';
import { FinialError } from '../../../common/errors.ts';
import { joinPath, spiffeId } from '../../../spiffe/id.ts';
import { definePlugin } from '../../plugin.ts';
import type {
  AgentNodeAttestor,
  AgentNodeAttestorHost,
  NodeAttestation,
  ServerNodeAttestor,
  ServerNodeAttestorHost,
} from '../contract.ts';

const NAME = 'join_token';

type NoConfig = Readonly<Record<string, never>>;

/** `NodeAttestor "join_token"`, server half: admits whoever shows a token that was made here and not yet used. */
export const joinTokenNodeAttestor = definePlugin<NoConfig, ServerNodeAttestor, ServerNodeAttestorHost>({
  type: 'NodeAttestor',
  name: NAME,
  config: object({}),
  create: (_config, { trustDomain, clock }, { joinTokens }) => ({
    async attest(payload): Promise<NodeAttestation> {
      const token = payload.toString('utf8');
      const taken = await joinTokens.consume(token);
      if (taken === undefined) {
        throw new FinialError(
          'invalid-argument',
          'failed to attest: join token does not exist or has already been used',
        );
      }
      // Only now, so that a token that came too late cannot be tried again.
      if (clock.now() > taken.expiresAt * 1000) throw new FinialError('invalid-argument', 'join token expired');
      const agentId = spiffeId(trustDomain, joinPath('spire', 'agent', NAME, token));
      return { agentId, selectors: [], canReattest: false };
    },
  }),
});

/** `NodeAttestor "join_token"`, agent half: shows the token of the agent's configuration. */
export const joinTokenAgentAttestor = definePlugin<NoConfig, AgentNodeAttestor, AgentNodeAttestorHost>({
  type: 'NodeAttestor',
  name: NAME,
  config: object({}),
  create: (_config, _context, { joinToken }) => ({
    type: NAME,
    async begin() {
      if (joinToken === undefined || joinToken === '') {
        throw new FinialError('invalid-argument', 'join token was not provided');
      }
      return {
        payload: Buffer.from(joinToken, 'utf8'),
        async respond() {
          throw new FinialError('internal', 'the server sent a challenge, but join tokens have none');
        },
      };
    },
  }),
});
