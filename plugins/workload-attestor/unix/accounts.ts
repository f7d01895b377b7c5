import { readFile, stat } from 'node:fs/promises';

/** Names of numeric ids, from a file in the format of passwd(5) or group(5). */
export interface AccountNames {
  /** The name of `id`, or undefined when the file has none. */
  nameOf(id: number): Promise<string | undefined>;
}

/** Reads `file` again only when it changed. */
export function accountNames(file: string): AccountNames {
  let version = '';
  let names = new Map<number, string>();
  return {
    async nameOf(id) {
      const { mtimeMs, size, ino } = await stat(file);
      const current = `${mtimeMs} ${size} ${ino}`;
      if (current !== version) {
        names = parseAccounts(await readFile(file, 'utf8'));
        version = current;
      }
      return names.get(id);
    },
  };
}

/** The first name of each id, as getpwuid(3) would find it; lines that are not accounts are passed over. */
export function parseAccounts(text: string): Map<number, string> {
  const names = new Map<number, string>();
  for (const line of text.split('\n')) {
    const [name, , id] = line.split(':');
    if (name === undefined || name === '' || line.startsWith('#') || id === undefined || !/^\d+$/.test(id)) continue;
    if (!names.has(Number(id))) names.set(Number(id), name);
  }
  return names;
}
