import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { parseCertificate } from '../../spiffe/x509/certificate.ts';
import { generateSigner, type PrivateKeySigner } from '../../spiffe/x509/key.ts';
import { encodeName } from '../../spiffe/x509/name.ts';
import { certificatesToPem } from '../../spiffe/x509/pem.ts';
import {
  selfSigned,
  selfSignedCaTemplate,
  signCertificate,
  upstreamSignedCaTemplate,
} from '../../spiffe/x509/profile.ts';

/** A CA outside of any server. */
export interface TestCa {
  /** DER. */
  readonly certificate: Buffer;
  readonly signer: PrivateKeySigner;
  readonly certificatePem: string;
  readonly keyPem: string;
}

let serial = 1000n;

/** @param options.notAfter Unix milliseconds */
export async function newRootCa(options: {
  readonly trustDomain: TrustDomain;
  readonly now: number;
  readonly notAfter: number;
}): Promise<TestCa> {
  const signer = await generateSigner('ec-p256');
  serial += 1n;
  const template = selfSignedCaTemplate({
    serialNumber: serial,
    now: options.now,
    ttlMs: options.notAfter - options.now,
    publicKey: signer.publicKey,
    trustDomain: options.trustDomain,
    subject: { organization: ['Upstream'], commonName: `root ${serial}` },
  });
  return testCa(await signCertificate(template, selfSigned(template, signer)), signer);
}

/** A CA between a root and a server's CA. */
export async function newIntermediateCa(issuer: TestCa, now: number): Promise<TestCa> {
  const signer = await generateSigner('ec-p256');
  serial += 1n;
  const parent = parseCertificate(issuer.certificate);
  const template = upstreamSignedCaTemplate({
    serialNumber: serial,
    now,
    ttlMs: parent.notAfter - now,
    publicKey: signer.publicKey,
    subject: encodeName({ organization: ['Upstream'], commonName: `intermediate ${serial}` }),
    uris: [],
    issuer: parent,
  });
  const { subject, subjectKeyId } = parent;
  return testCa(await signCertificate(template, { signer: issuer.signer, subject, subjectKeyId }), signer);
}

function testCa(certificate: Buffer, signer: PrivateKeySigner): TestCa {
  const keyPem = signer.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { certificate, signer, certificatePem: certificatesToPem([certificate]), keyPem };
}
