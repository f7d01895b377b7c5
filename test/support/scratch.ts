import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll } from 'vitest';

/**
 * A fresh folder, removed when the test file is done. Its path is short, since sockets are made below it and a socket
 * path has 107 bytes at most.
 */
export function scratchFolder(): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'fin-'));
  // Sockets below it are for processes of other users too.
  chmodSync(folder, 0o755);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
