import { FinialError } from '../../common/errors.ts';

/**
 * What a failed call to the server means for the agent (agent.md 2.5):
 * - `attest`: the server does not know this agent's SVID any more; the agent has to attest anew
 * - `banned`: an operator shut the agent out
 * - `untrusted`: the server's certificate does not lead to the bundle
 * - `retry`: anything else; trying again later may help
 */
export type FailureKind = 'attest' | 'banned' | 'untrusted' | 'retry';

/** Goes by the reason in the status details, never by the code alone: a plain refusal of one call is no verdict. */
export function kindOfFailure(error: unknown): FailureKind {
  if (!(error instanceof FinialError)) return 'retry';
  switch (error.denial) {
    case 'agent-expired':
    case 'agent-not-active':
    case 'agent-not-attested':
    case 'agent-must-reattest':
      return 'attest';
    case 'agent-banned':
      return 'banned';
    case undefined:
      return error.message.includes('certificate signed by unknown authority') ? 'untrusted' : 'retry';
  }
}
