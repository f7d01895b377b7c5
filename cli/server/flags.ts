import { bool, int, output, repeated, text } from '../../common/cli/flags.ts';
import { DEFAULT_SERVER_SOCKET } from './connection.ts';

/** Flags of every command that calls the server. */
export const connectionFlags = {
  socketPath: text(DEFAULT_SERVER_SOCKET, 'Path of the admin socket of the server'),
  instance: text('', 'Name put in place of %i in SPIRE_SERVER_PRIVATE_SOCKET_TEMPLATE to find the socket'),
};

/** Flags of every command that prints a reply. */
export const replyFlags = { ...connectionFlags, output: output() };

const matchHelp = 'How the sets must relate: exact, any, superset or subset';

/** Flags that select entries, shared by `entry show` and `entry count`. */
export const entryFilterFlags = {
  parentID: text('', 'Only entries with this parent ID'),
  spiffeID: text('', 'Only entries with this SPIFFE ID'),
  downstream: bool('Only entries of downstream servers'),
  selector: repeated('Only entries with this type:value selector; may be given more than once'),
  federatesWith: repeated('Only entries that federate with this trust domain; may be given more than once'),
  matchSelectorsOn: text('superset', matchHelp),
  matchFederatesWithOn: text('superset', matchHelp),
  hint: text('', 'Only entries with this hint'),
};

/** Flags that describe an entry, shared by `entry create` and `entry update`. */
export const entryFlags = {
  entryID: text('', 'ID of the entry'),
  parentID: text('', 'SPIFFE ID of the agent, or of the alias of agents, that may have the identity'),
  spiffeID: text('', 'SPIFFE ID that the entry gives'),
  x509SVIDTTL: int(0, 'Lifetime of its X509-SVIDs in seconds; 0 for the default'),
  jwtSVIDTTL: int(0, 'Lifetime of its JWT-SVIDs in seconds; 0 for the default'),
  data: text('', 'File with entries as JSON, or - for standard input; other flags are then ignored'),
  selector: repeated('A type:value selector that workloads must show; may be given more than once'),
  federatesWith: repeated('SPIFFE ID of a trust domain whose bundle workloads get too; may be given more than once'),
  admin: bool('The identity may use the administration APIs'),
  storeSVID: bool('SVIDs are handed to an SVIDStore plugin instead of workloads'),
  downstream: bool('The identity is of a downstream server'),
  entryExpiry: int(0, 'Unix time in seconds after which the entry is removed; 0 for never'),
  dns: repeated('DNS name in its X509-SVIDs; may be given more than once'),
  hint: text('', 'Name by which a workload tells its identities apart'),
  disableX509SVIDPrefetch: bool('Agents sign its X509-SVID only when a workload asks'),
  jwtSVIDIncludeJTI: bool('JWT-SVIDs carry a jti claim'),
};

/** Flags that select agents, shared by `agent list` and `agent count`. */
export const agentFilterFlags = {
  selector: repeated('Only agents with this type:value selector; may be given more than once'),
  matchSelectorsOn: text('superset', matchHelp),
  attestationType: text('', 'Only agents attested by this kind of node attestor'),
  canReattest: text('', 'Only agents that can, or cannot, attest again: true or false'),
  banned: text('', 'Only agents that are, or are not, banned: true or false'),
  expiresBefore: text('', 'Only agents whose SVID expires before this time: 2006-01-02 15:04:05 -0700 -07'),
};
