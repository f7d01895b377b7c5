/** How grpc-js wraps the reason for which there is no connection. */
const WRAPPED = /^No connection established\. Last error: (?:Error: )?(.*?)\. Resolution note:\s*$/s;

/** What the operating system's word for it means to whoever typed the command. */
const MEANINGS: readonly (readonly [RegExp, string])[] = [
  [/^connect ENOENT (.+)$/, 'there is no socket at $1; is the process that serves it running, and is this its path?'],
  [/^connect ECONNREFUSED (.+)$/, 'nobody is listening at $1; is the process that serves it running?'],
  [/^connect EACCES (.+)$/, 'no permission to connect to $1; run as a user that may open this socket'],
  [/^getaddrinfo ENOTFOUND (.+)$/, 'there is no host named $1'],
];

/** The text of a failed connection in words that say what to look at; other texts stay as they are. */
export function explainConnectFailure(details: string): string {
  const reason = WRAPPED.exec(details)?.[1];
  if (reason === undefined) return details;
  for (const [pattern, meaning] of MEANINGS) {
    if (pattern.test(reason)) return `connection error: ${reason.replace(pattern, meaning)}`;
  }
  return `connection error: ${reason}`;
}
