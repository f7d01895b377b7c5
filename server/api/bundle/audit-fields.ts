import type { LogFields } from '../../../common/log/logger.ts';
import type { JWTKey__Output } from '../../../proto/gen/spire/api/types/JWTKey.ts';
import type { X509Certificate__Output } from '../../../proto/gen/spire/api/types/X509Certificate.ts';
import { hashField } from '../audit-fields.ts';

/** What the audit log says of authorities in a request: hashes, numbered as they came. */
export function authorityFields(jwt: readonly JWTKey__Output[], x509: readonly X509Certificate__Output[]): LogFields {
  const fields: Record<string, unknown> = {};
  for (const [i, key] of jwt.entries()) {
    fields[`jwt_authority_expires_at.${i}`] = Number(key.expires_at);
    fields[`jwt_authority_key_id.${i}`] = key.key_id;
    fields[`jwt_authority_public_key_sha256.${i}`] = hashField(key.public_key);
  }
  for (const [i, { asn1 }] of x509.entries()) fields[`x509_authorities_asn1_sha256.${i}`] = hashField(asn1);
  return fields;
}
