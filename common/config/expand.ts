const NAME = /[A-Za-z0-9_]+/y;
/** The shell's special parameters: names of one character, which no environment has but a caller may. */
const SPECIAL = /[*#$@!?\-0-9]/;

/**
 * Replaces `$NAME` and `${NAME}` by the variable's value, and by nothing when it is unset, as Go's os.Expand does. `$$`
 * is a dollar sign. A malformed `${` is dropped as far as it was read, as Go drops it.
 */
export function expandEnv(text: string, env: Readonly<Record<string, string | undefined>>): string {
  const valueOf = (name: string): string => (name === '$' ? '$' : ((Object.hasOwn(env, name) ? env[name] : '') ?? ''));
  const lastBrace = text.lastIndexOf('}');
  let result = '';
  let from = 0;
  for (let at = text.indexOf('$'); at !== -1 && at + 1 < text.length; at = text.indexOf('$', from)) {
    const { name, length } = readName(text, at + 1, lastBrace);
    result += text.slice(from, at);
    // A dollar that begins no name stands for itself.
    if (name === '' && length === 0) result += '$';
    else if (name !== '') result += valueOf(name);
    from = at + 1 + length;
  }
  return result + text.slice(from);
}

/** The name behind a dollar sign and how much text it takes, braces included; no name for malformed braces. */
function readName(text: string, at: number, lastBrace: number): { readonly name: string; readonly length: number } {
  const first = text[at] ?? '';
  if (first === '{') return readBraced(text, at, lastBrace);
  if (SPECIAL.test(first)) return { name: first, length: 1 };
  NAME.lastIndex = at;
  const name = NAME.exec(text)?.[0] ?? '';
  return { name, length: name.length };
}

function readBraced(text: string, at: number, lastBrace: number): { readonly name: string; readonly length: number } {
  // Searching for a brace that is nowhere, once per dollar, would take the square of the text's length.
  if (at > lastBrace) return { name: '', length: 1 };
  const end = text.indexOf('}', at);
  return { name: text.slice(at + 1, end), length: end + 1 - at };
}
