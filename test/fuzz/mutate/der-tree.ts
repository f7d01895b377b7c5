/**
 * An element of DER as a tree that can be changed and written again, also wrongly. What an OCTET STRING or BIT STRING
 * holds is part of the tree where it reads as DER, as the extensions of a certificate do.
 */
export interface DerNode {
  tag: number;
  /** Instead of `content`, when it is not undefined. */
  children: DerNode[] | undefined;
  content: Buffer;
  /** Before the children: the count of unused bits of a BIT STRING. */
  prefix: Buffer;
  /** How the length is written; the shortest form when undefined. */
  length: ((length: number) => Buffer) | undefined;
}

const MAX_DEPTH = 24;

/** The elements that bytes hold one after the other; undefined when they are no DER. */
export function readTrees(bytes: Buffer, depth = 0): DerNode[] | undefined {
  const nodes: DerNode[] = [];
  for (let at = 0; at < bytes.length; ) {
    const header = readHeader(bytes, at);
    if (header === undefined || depth > MAX_DEPTH) return undefined;
    const content = bytes.subarray(header.from, header.to);
    nodes.push(nodeOf(bytes[at] ?? 0, content, depth));
    at = header.to;
  }
  return nodes;
}

function nodeOf(tag: number, content: Buffer, depth: number): DerNode {
  // A BIT STRING begins with its count of unused bits, which is 0 when it holds DER.
  const skipped = tag === 0x03 && content[0] === 0 ? 1 : 0;
  const mayHoldDer = (tag & 0x20) !== 0 || tag === 0x04 || skipped === 1;
  const inner =
    mayHoldDer && content.length > skipped + 1 ? readTrees(content.subarray(skipped), depth + 1) : undefined;
  const children = (tag & 0x20) !== 0 && content.length === 0 ? [] : inner;
  return { tag, children, content, prefix: content.subarray(0, skipped), length: undefined };
}

function readHeader(bytes: Buffer, at: number): { from: number; to: number } | undefined {
  const first = bytes[at + 1];
  if (first === undefined) return undefined;
  let from = at + 2;
  let length = first;
  if (first >= 0x80) {
    const size = first & 0x7f;
    if (size === 0 || size > 4 || from + size > bytes.length) return undefined;
    length = bytes.readUIntBE(from, size);
    from += size;
  }
  return from + length > bytes.length ? undefined : { from, to: from + length };
}

export function writeTrees(nodes: readonly DerNode[]): Buffer {
  return Buffer.concat(nodes.map(writeTree));
}

function writeTree(node: DerNode): Buffer {
  const content =
    node.children === undefined ? node.content : Buffer.concat([node.prefix, ...node.children.map(writeTree)]);
  return Buffer.concat([Buffer.of(node.tag), (node.length ?? shortest)(content.length), content]);
}

function shortest(length: number): Buffer {
  return length < 0x80 ? Buffer.of(length) : longForm(length, Math.ceil((32 - Math.clz32(length)) / 8));
}

/** A length in so many bytes, whether or not it needs them. */
export function longForm(length: number, size: number): Buffer {
  const out = Buffer.alloc(1 + size);
  out[0] = 0x80 | size;
  out.writeUIntBE(length % 2 ** (8 * size), 1, size);
  return out;
}

/** A copy of a node that shares no node with it. */
export function copyOf(node: DerNode): DerNode {
  return { ...node, children: node.children?.map(copyOf) };
}
