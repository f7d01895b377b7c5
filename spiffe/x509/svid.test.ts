import { describe, expect, it } from 'vitest';
import { issueCa, issueSvid, type TestCertificate } from '../../test/support/pki.ts';
import { certificatesToPem, encodePem } from './pem.ts';
import { parseX509Svid, x509SvidFromPem } from './svid.ts';

const ID = 'spiffe://td/a';
const ca = issueCa(issueCa());
const svid = issueSvid(ca, ID);
const pkcs8 = ({ key }: TestCertificate): Buffer => key.privateKey.export({ type: 'pkcs8', format: 'der' });
const keyPem = (one: TestCertificate): string => encodePem('PRIVATE KEY', pkcs8(one));
const chainPem = certificatesToPem([svid.der, ca.der]);
const chain = Buffer.concat([svid.der, ca.der]);
const refused = (code: string): object => expect.objectContaining({ name: 'SpiffeError', code });

/** What is refused besides, and with which words, is in test/vectors/x509-svid.json, V-X-55 to V-X-62. */
describe('loading', () => {
  it('keeps certificates and key', () => {
    for (const loaded of [x509SvidFromPem(chainPem, keyPem(svid)), parseX509Svid(chain, pkcs8(svid))]) {
      expect(loaded.id).toBe(ID);
      expect(loaded.chain.map(({ der }) => der)).toEqual([svid.der, ca.der]);
      expect(loaded.privateKey.equals(svid.key.privateKey)).toBe(true);
    }
  });

  it('says what kind of thing is wrong', () => {
    expect(() => x509SvidFromPem(chainPem, keyPem(ca))).toThrow(refused('invalid-x509-svid'));
    expect(() => x509SvidFromPem(chainPem, chainPem)).toThrow(refused('invalid-pem'));
    expect(() => x509SvidFromPem(encodePem('CERTIFICATE', Buffer.of(1)), keyPem(svid))).toThrow(
      refused('invalid-certificate'),
    );
    expect(() => parseX509Svid(chain, Buffer.of(1))).toThrow(refused('invalid-key'));
  });

  it('refuses bytes after the key', () => {
    expect(() => parseX509Svid(chain, Buffer.concat([pkcs8(svid), Buffer.of(0)]))).toThrow(refused('invalid-key'));
  });
});
