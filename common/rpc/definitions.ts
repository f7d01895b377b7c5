import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadSync, type PackageDefinition } from '@grpc/proto-loader';

/**
 * Options of every load; `deploy/checkout/generate.mjs` generates the types for exactly these. Enums that a newer peer
 * added arrive as numbers, 64-bit integers as decimal strings.
 */
const shape = { keepCase: true, longs: String, enums: String, defaults: true, oneofs: true } as const;

/** One root per .proto file: in a shared one the package-less messages of workload.proto shadow others of their name. */
const loaded = new Map<string, PackageDefinition>();

/**
 * Everything one .proto file and its imports define, by full name.
 *
 * @param protoFile path below `proto/`
 */
export function definitionsOf(protoFile: string): PackageDefinition {
  let definitions = loaded.get(protoFile);
  if (definitions === undefined) {
    const folder = protoFolder();
    definitions = loadSync(path.join(folder, protoFile), { ...shape, includeDirs: [folder] });
    loaded.set(protoFile, definitions);
  }
  return definitions;
}

/** The package's `proto` folder, for this file as source as well as compiled below `dist`. */
function protoFolder(): string {
  let folder = path.dirname(fileURLToPath(import.meta.url));
  while (!existsSync(path.join(folder, 'package.json'))) {
    const parent = path.dirname(folder);
    if (parent === folder) throw new Error('the package of this file has no package.json above it');
    folder = parent;
  }
  return path.join(folder, 'proto');
}
