import { workloadApi } from '../../../client/workload-api.ts';
import { toFinialError } from '../../../common/errors.ts';
import { say } from './say.ts';

/** A process that nobody registered: asks for an identity and says what it was told. */
const api = workloadApi();
try {
  const { svids } = await api.fetchX509();
  say({ event: 'identity', id: svids[0].id });
} catch (thrown) {
  const { code, message } = toFinialError(thrown);
  say({ event: 'refused', code, why: message });
} finally {
  api.close();
}
