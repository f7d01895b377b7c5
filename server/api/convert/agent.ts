import type { NodeFilter } from '../../../plugins/datastore/sql/contract.ts';
import type { _spire_api_server_agent_v1_ListAgentsRequest_Filter__Output as FilterMessage } from '../../../proto/gen/spire/api/server/agent/v1/ListAgentsRequest.ts';
import type { Agent } from '../../../proto/gen/spire/api/types/Agent.ts';
import type { AgentMask__Output } from '../../../proto/gen/spire/api/types/AgentMask.ts';
import { type AttestedNode, isBanned } from '../../../spiffe/registration/node.ts';
import { selectorMatchFromProto } from './filters.ts';
import { idToProto } from './ids.ts';

/** A node as callers see it; the ID is always there. */
export function agentToProto(node: AttestedNode, mask: AgentMask__Output | null): Agent {
  const all: Required<Omit<Agent, 'id'>> = {
    attestation_type: node.attestationType,
    x509svid_serial_number: node.serialNumber,
    x509svid_expires_at: node.expiresAt,
    selectors: node.selectors,
    // The serial in use alone decides, as where agents are let in.
    banned: isBanned(node),
    can_reattest: node.canReattest,
    agent_version: node.agentVersion,
  };
  const wanted = Object.entries(all).filter(([field]) => mask === null || mask[field as keyof AgentMask__Output]);
  return { id: idToProto(node.id), ...Object.fromEntries(wanted) };
}

/** @throws FinialError or SpiffeError when the selectors are malformed */
export function nodeFilterFromProto(filter: FilterMessage | null): { filter?: NodeFilter } {
  if (filter === null) return {};
  const expiresBefore = parseExpiresBefore(filter.by_expires_before);
  return {
    filter: {
      ...(filter.by_banned && { banned: filter.by_banned.value }),
      ...(filter.by_can_reattest && { canReattest: filter.by_can_reattest.value }),
      ...(filter.by_attestation_type !== '' && { attestationType: filter.by_attestation_type }),
      ...(expiresBefore !== undefined && { expiresBefore }),
      ...(filter.by_selector_match && { selectors: selectorMatchFromProto(filter.by_selector_match) }),
    },
  };
}

const EXPIRES_BEFORE =
  /^(\d{4})-(\d{2})-(\d{2}) (\d{2}):(\d{2}):(\d{2})(?:[.,]\d+)? ([+-])(\d{2})(\d{2}) [+-]\d{2}(?:\d{2})?$/;

/**
 * Reads a time such as `2026-01-31 12:00:00 +0100 +01`. As in the reference, any other text counts as no filter.
 *
 * @returns Unix seconds
 */
function parseExpiresBefore(text: string): number | undefined {
  const match = EXPIRES_BEFORE.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second, sign, offsetHours, offsetMinutes] = match;
  const time = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}${sign}${offsetHours}:${offsetMinutes}`);
  return Number.isNaN(time) ? undefined : time / 1000;
}
