import { isIP, isIPv6 } from 'node:net';
import { parseEndpoint, type WorkloadEndpoint } from '../../../client/endpoint.ts';
import { mixed, mutateBytes } from '../mutate/bytes.ts';
import { textMutator } from '../mutate/text.ts';
import { must, mustBeSame, opinion, outcomeOf, ruleOf, type Target } from '../target.ts';
import { finialErrors } from './refusal.ts';

const WORDS = [
  ...['unix://', 'unix:', 'unix:///run/a.sock', 'tcp://', 'TCP://', 'npipe:', 'tcp://127.0.0.1:80', '[::1]', ':8081'],
  ...['[::ffff:127.0.0.1]', '[fe80::1%25eth0]', 'localhost', 'user@', '?a', '#b', '%00', '%2f', '%zz', '/../', '65536'],
  ...['127.1', '0x7f.0.0.1', '2130706433', '0177.0.0.1', ':080', ':0', '//'],
];
const growth = ['unix://', 'tcp://1.2.3.4:', 'tcp://[', 'tcp://a.'].map((start) => ({
  what: `a long ${start}`,
  from: 50_000,
  of: (size: number) => Buffer.from(`${start}${'/1'.repeat(size)}`),
}));

/** Addresses of the Workload API, against the URL parser of Node. */
export const endpointTarget: Target = {
  name: 'endpoint',
  maxLength: 2000,
  mutate: mixed([4, textMutator(WORDS)], [1, mutateBytes]),
  growth,
  execute(input) {
    const text = input.toString('utf8');
    const isAllowed = finialErrors('invalid-argument');
    const strict = outcomeOf(() => parseEndpoint(text), isAllowed);
    const loose = outcomeOf(() => parseEndpoint(text, { hostNames: true }), isAllowed);
    if ('value' in loose) check(text, loose.value);
    if ('refused' in strict) {
      must(strict.refused.message.length < 2000, 'a message must be bounded');
      return `${ruleOf(strict.refused).replace(/\(.*/s, '')} ${'value' in loose}`;
    }
    must('value' in loose, 'an address without a host name is one where names may stand');
    must(strict.value.transport === 'unix' || isIP(strict.value.host) !== 0, 'a TCP host is an IP address');
    return `accepted ${strict.value.transport}`;
  },
};

function check(text: string, endpoint: WorkloadEndpoint): void {
  // An address with a zone (RFC 4007 11) is taken here, and none that a URL may hold.
  if (endpoint.transport === 'tcp' && isIPv6(endpoint.host) && endpoint.host.includes('%')) return;
  const url = opinion(() => new URL(text))?.value;
  must(url !== undefined, 'URL reads the address');
  mustBeSame(url.protocol, `${endpoint.transport}:`, 'scheme as URL reads it');
  mustBeSame(`${url.search}${url.hash}${url.username}${url.password}`, '', 'nothing that the standard forbids');
  if (endpoint.transport === 'tcp') {
    must(endpoint.port >= 1 && endpoint.port <= 65_535, 'port in range');
    mustBeSame(endpoint.port, Number(url.port), 'port as URL reads it');
    const host = url.hostname.replaceAll(/[[\]]/g, '');
    if (isIP(endpoint.host) !== 6) mustBeSame(endpoint.host, host, 'host as URL reads it');
    return;
  }
  const { path } = endpoint;
  must(path.startsWith('/') && !path.startsWith('//') && path !== '/', 'absolute path of a socket');
  must(!path.includes('\0'), 'no zero byte in a path');
  // URL removes dot segments, where a file system follows them.
  if (/(^|\/)\.{1,2}(\/|$)/.test(path)) return;
  mustBeSame(path, decodeURIComponent(url.pathname).replace(/^\/+/, '/'), 'path as URL reads it');
}
