import { createHash } from 'node:crypto';
import type { LogFields } from '../../common/log/logger.ts';
import type { _spire_api_server_agent_v1_ListAgentsRequest_Filter__Output as FilterMessage } from '../../proto/gen/spire/api/server/agent/v1/ListAgentsRequest.ts';

/** What the audit log says of a filter. Selectors themselves never enter a log; how they are matched does. */
export function agentFilterFields(filter: FilterMessage | null): LogFields {
  if (filter === null) return {};
  return {
    ...(filter.by_attestation_type !== '' && { node_attestor_type: filter.by_attestation_type }),
    ...(filter.by_banned && { by_banned: filter.by_banned.value }),
    ...(filter.by_can_reattest && { by_can_reattest: filter.by_can_reattest.value }),
    ...(filter.by_selector_match && { by_selector_match: filter.by_selector_match.match }),
  };
}

/** The SHA-256 of bytes that the audit log names; empty for none. */
export function hashField(bytes: Buffer): string {
  return bytes.length === 0 ? '' : createHash('sha256').update(bytes).digest('hex');
}
