const MAX_TRIES = 3000;

/** The input without pieces that it fails without, found by leaving out ever smaller ones. */
export async function minimised(input: Buffer, fails: (input: Buffer) => Promise<boolean>): Promise<Buffer> {
  if (!(await fails(input))) return input;
  let smallest = input;
  let tries = 0;
  for (let size = Math.ceil(input.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < smallest.length && tries < MAX_TRIES; tries += 1) {
      const without = Buffer.concat([smallest.subarray(0, at), smallest.subarray(at + size)]);
      if (await fails(without)) smallest = without;
      else at += size;
    }
  }
  return smallest;
}
