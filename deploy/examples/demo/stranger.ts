import { FinialError, workloadApi } from '../../../client/index.ts';
import { say } from './say.ts';

/** A process that nobody registered: asks for an identity and says what it was told. */
const api = workloadApi();
try {
  const { svids } = await api.x509.fetch();
  say({ event: 'identity', id: svids[0].id });
} catch (error) {
  if (!(error instanceof FinialError)) throw error;
  say({ event: 'refused', code: error.code, why: error.message });
} finally {
  api.close();
}
