import { goTime } from '../../common/cli/format.ts';
import type { Agent__Output } from '../../proto/gen/spire/api/types/Agent.ts';
import { idText } from './entry-print.ts';

function row(label: string, value: string | boolean): string {
  return `${label.padEnd(18)}: ${value}\n`;
}

/** The block that describes an agent, closed by an empty line unless selectors follow (server.md 10.4). */
export function agentBlock(agent: Agent__Output): string {
  return [
    row('SPIFFE ID', idText(agent.id)),
    row('Attestation type', agent.attestation_type),
    row('Expiration time', goTime(new Date(Number(agent.x509svid_expires_at) * 1000), 'Local')),
    agent.banned ? row('Banned', true) : row('Serial number', agent.x509svid_serial_number),
    row('Can re-attest', agent.can_reattest),
    agent.agent_version === '' ? '' : row('Agent version', agent.agent_version),
    '\n',
  ].join('');
}

export function agentSelectors(agent: Agent__Output): string {
  return agent.selectors.map((one) => row('Selectors', `${one.type}:${one.value}`)).join('');
}
