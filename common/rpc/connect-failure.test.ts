import os from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { connectUnix } from './client.ts';
import { explainConnectFailure } from './connect-failure.ts';
import { healthService } from './services.ts';

const wrapped = (reason: string): string =>
  `No connection established. Last error: Error: ${reason}. Resolution note: `;

describe('explainConnectFailure', () => {
  it.each([
    ['connect ENOENT /a b.sock', 'connection error: there is no socket at /a b.sock; is'],
    ['connect ECONNREFUSED 127.0.0.1:1', 'connection error: nobody is listening at 127.0.0.1:1; is'],
    ['connect EACCES /x', 'connection error: no permission to connect to /x; run'],
    ['getaddrinfo ENOTFOUND nowhere', 'connection error: there is no host named nowhere'],
    ['self-signed certificate', 'connection error: self-signed certificate'],
  ])('explains "%s"', (reason, text) => {
    expect(explainConnectFailure(wrapped(reason)).startsWith(text)).toBe(true);
  });

  it('leaves what servers say alone', () => {
    expect(explainConnectFailure('no identity issued')).toBe('no identity issued');
  });

  it('is what a caller sees who names a socket that is not there', async () => {
    const file = path.join(os.tmpdir(), 'finial-there-is-no-such.sock');
    const channel = connectUnix(file);
    await expect(channel.call(healthService(), 'Check', {})).rejects.toMatchObject({
      code: 'unavailable',
      message: `connection error: there is no socket at ${file}; is the process that serves it running, and is this its path?`,
    });
    channel.close();
  });
});
