/**
 * WIT-SVID is incubating (SPIFFE STABILITY 2.3): what is here follows the revisions below and may change with them.
 * Nothing uses this folder unless it is imported.
 */

/** The commit of the SPIFFE standards that WIT-SVIDs follow, of 2026-07-01. */
export const SPIFFE_REVISION = '665a28f';

/** The WIMSE draft that defines the token and its HTTP header. */
export const WIT_DRAFT = 'draft-ietf-wimse-workload-creds-02';

/** The WIMSE draft that defines the Workload Proof Token, of 2026-08-27. */
export const WPT_DRAFT = 'draft-ietf-wimse-wpt-02';
