import { describe } from 'vitest';
import { sqliteTests } from '../../../../test/support/sqlite.ts';
import { runDataStoreConformance } from '../conformance.ts';

describe('sqlite', () => {
  const { path, open } = sqliteTests();

  runDataStoreConformance(async (clock) => {
    const file = path();
    return { store: await open(file, { clock }), another: () => open(file, { clock }) };
  });
});
