import type { _spire_api_server_agent_v1_ListAgentsRequest_Filter as AgentFilter } from '../../proto/gen/spire/api/server/agent/v1/ListAgentsRequest.ts';
import { commandFailure } from '../failure.ts';
import { matchFromFlag, selectorFromFlag } from './request.ts';

/** The values of `agentFilterFlags`. */
export interface AgentFilterValues {
  readonly selector: readonly string[];
  readonly matchSelectorsOn: string;
  readonly attestationType: string;
  readonly canReattest: string;
  readonly banned: string;
  readonly expiresBefore: string;
}

/** Go's layout `2006-01-02 15:04:05 -0700 -07`: the zone stands there twice. */
const DATE = /^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2} [+-]\d{4} [+-]\d{2}$/;

/** The filter that the flags ask for. @throws FinialError naming the flag's value that is wrong */
export function agentFilter(flags: AgentFilterValues): AgentFilter {
  const filter: AgentFilter = {};
  if (flags.selector.length > 0) {
    const match = matchFromFlag(flags.matchSelectorsOn, 'unsupported match behavior');
    filter.by_selector_match = { match, selectors: flags.selector.map(agentSelector) };
  }
  if (flags.expiresBefore !== '') {
    if (!DATE.test(flags.expiresBefore)) {
      throw commandFailure(`date is not valid: "${flags.expiresBefore}" must look like 2006-01-02 15:04:05 -0700 -07`);
    }
    filter.by_expires_before = flags.expiresBefore;
  }
  if (flags.attestationType !== '') filter.by_attestation_type = flags.attestationType;
  // Any other text means no filter, as in the reference.
  if (isBoolean(flags.canReattest)) filter.by_can_reattest = { value: flags.canReattest === 'true' };
  if (isBoolean(flags.banned)) filter.by_banned = { value: flags.banned === 'true' };
  return filter;
}

function agentSelector(value: string): { type: string; value: string } {
  try {
    return selectorFromFlag(value);
  } catch (error) {
    throw commandFailure(`error parsing selector "${value}": ${(error as Error).message}`);
  }
}

function isBoolean(text: string): boolean {
  return text === 'true' || text === 'false';
}
