import { describe, expect, it } from 'vitest';
import { issueCa, issueSvid, newTestKey, type TestCertificate } from '../../test/support/pki.ts';
import { certificatesToPem, encodePem } from './pem.ts';
import { parseX509Svid, x509SvidFromPem } from './svid.ts';

const ID = 'spiffe://td/a';
const root = issueCa();
const ca = issueCa(root);
const svid = issueSvid(ca, ID);
const pkcs8 = ({ key }: TestCertificate): Buffer => key.privateKey.export({ type: 'pkcs8', format: 'der' });
const keyPem = (one: TestCertificate): string => encodePem('PRIVATE KEY', pkcs8(one));
const chainPem = certificatesToPem([svid.der, ca.der]);
const refused = (code: string): object => expect.objectContaining({ name: 'SpiffeError', code });

describe('x509SvidFromPem', () => {
  it.each(['P-256', 'rsa-2048', 'ed25519'] as const)('V-X-55 reads PKCS#8 with a %s key', (kind) => {
    const one = issueSvid(ca, ID, { key: newTestKey(kind) });
    const { id, chain, privateKey } = x509SvidFromPem(certificatesToPem([one.der, ca.der]), keyPem(one));
    expect(id).toBe(ID);
    expect(chain.map(({ der }) => der)).toEqual([one.der, ca.der]);
    expect(privateKey.equals(one.key.privateKey)).toBe(true);
  });

  it('V-X-56 reads key and certificates from one text, in any order', () => {
    for (const text of [chainPem + keyPem(svid), keyPem(svid) + chainPem]) {
      expect(x509SvidFromPem(text, text).id).toBe(ID);
    }
  });

  it('V-X-57 refuses the key of another', () => {
    expect(() => x509SvidFromPem(chainPem, keyPem(ca))).toThrow(/does not match private key/);
  });

  it('V-X-58 refuses no certificate, no key, no PEM and no DER', () => {
    expect(() => x509SvidFromPem(keyPem(svid), keyPem(svid))).toThrow(refused('invalid-x509-svid'));
    expect(() => x509SvidFromPem(chainPem, chainPem)).toThrow(refused('invalid-pem'));
    expect(() => x509SvidFromPem('nonsense', keyPem(svid))).toThrow(refused('invalid-x509-svid'));
    expect(() => x509SvidFromPem(encodePem('CERTIFICATE', Buffer.of(1)), keyPem(svid))).toThrow(
      refused('invalid-certificate'),
    );
    expect(() => x509SvidFromPem(chainPem, encodePem('PRIVATE KEY', Buffer.of(1)))).toThrow(refused('invalid-key'));
  });

  it('refuses two keys, and keys of other forms', () => {
    expect(() => x509SvidFromPem(chainPem, keyPem(svid) + keyPem(ca))).toThrow(refused('invalid-pem'));
    const sec1 = svid.key.privateKey.export({ type: 'sec1', format: 'pem' }).toString();
    expect(() => x509SvidFromPem(chainPem, sec1)).toThrow(refused('invalid-pem'));
    const encrypted = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' } as const;
    expect(() => x509SvidFromPem(chainPem, svid.key.privateKey.export(encrypted).toString())).toThrow(
      refused('invalid-pem'),
    );
  });

  it('V-X-59 refuses the ID of a trust domain, V-X-26 a leaf without basic constraints', () => {
    const bare = issueSvid(ca, 'spiffe://td');
    expect(() => x509SvidFromPem(certificatesToPem([bare.der]), keyPem(bare))).toThrow(/must have a path/);
    const vague = issueSvid(ca, ID, { basicConstraints: null });
    expect(() => x509SvidFromPem(certificatesToPem([vague.der]), keyPem(vague))).toThrow(/no basic constraints/);
  });
});

describe('parseX509Svid', () => {
  const chain = Buffer.concat([svid.der, ca.der]);

  it('reads what the Workload API sends', () => {
    expect(parseX509Svid(chain, pkcs8(svid))).toMatchObject({ id: ID });
  });

  it('V-X-60 refuses trailing garbage', () => {
    expect(() => parseX509Svid(Buffer.concat([chain, Buffer.of(0)]), pkcs8(svid))).toThrow(
      refused('invalid-certificate'),
    );
  });

  it('V-X-61, V-X-62 refuses SEC1 and encrypted keys', () => {
    const sec1 = svid.key.privateKey.export({ type: 'sec1', format: 'der' });
    expect(() => parseX509Svid(chain, sec1)).toThrow(refused('invalid-key'));
    const encrypted = { type: 'pkcs8', format: 'der', cipher: 'aes-256-cbc', passphrase: 'x' } as const;
    expect(() => parseX509Svid(chain, svid.key.privateKey.export(encrypted))).toThrow(refused('invalid-key'));
  });

  it('refuses no certificates', () => {
    expect(() => parseX509Svid(Buffer.of(), pkcs8(svid))).toThrow(refused('invalid-x509-svid'));
  });
});
