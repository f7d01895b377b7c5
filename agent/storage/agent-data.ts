import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { replaceFile } from '../../common/atomic-file.ts';
import { FinialError, messageOf } from '../../common/errors.ts';
import { lockForProcess } from '../../common/file-lock.ts';
import { oneAtATime } from '../../common/one-at-a-time.ts';
import { spareCopy } from '../../common/spare-copy.ts';
import { rfc3339 } from '../../common/time.ts';
import { isJsonObject, JsonError, type JsonObject, type JsonValue, readJson } from '../../spiffe/json.ts';
import { parseCertificate } from '../../spiffe/x509/certificate.ts';
import { certificatesFromPem, encodePem } from '../../spiffe/x509/pem.ts';

/** Why the agent last asked for a bundle from outside: never yet, for its first start, or because its own went stale. */
export type BootstrapUse = 'unset' | 'bootstrap' | 'rebootstrap';

/** What an agent keeps between runs, besides its keys. */
export interface AgentData {
  /** DER, leaf first; absent until the agent was attested. */
  readonly svid?: readonly Buffer[];
  /** DER of the roots of its own trust domain. */
  readonly bundle?: readonly Buffer[];
  readonly reattestable: boolean;
  readonly bootstrapUse: BootstrapUse;
  /** When the attempts that are counted began; absent when none are. */
  readonly bootstrapStartTime?: Date;
  readonly connectionAttempts: number;
}

export const EMPTY_AGENT_DATA: AgentData = Object.freeze({
  reattestable: false,
  bootstrapUse: 'unset',
  connectionAttempts: 0,
});

const FILE_NAME = 'agent-data.json';
const OWNER_ONLY = 0o600;
const ZERO_TIME = '0001-01-01T00:00:00Z';
/** In the order of the numbers by which the file names them. */
const USES: readonly BootstrapUse[] = ['unset', 'bootstrap', 'rebootstrap'];
/** A chain and a bundle of hundreds of certificates fit many times over. */
const LIMITS = { maxLength: 16 * 1024 * 1024, maxDepth: 8 };

/**
 * Reads `agent-data.json` of the folder `dir`; without the file there is nothing yet.
 *
 * @throws FinialError `failed-precondition` naming the file and what is wrong with it
 */
export async function loadAgentData(dir: string): Promise<AgentData> {
  const file = path.join(dir, FILE_NAME);
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return EMPTY_AGENT_DATA;
    throw new FinialError('failed-precondition', `cannot read ${file}: ${messageOf(error)}`, { cause: error });
  }
  try {
    return parseAgentData(bytes);
  } catch (error) {
    const remedy = 'when the file is deleted the agent attests anew';
    throw new FinialError('failed-precondition', `${file} is malformed: ${messageOf(error)}; ${remedy}`, {
      cause: error,
    });
  }
}

/**
 * Replaces `agent-data.json` of the folder `dir`, whole or not at all. One write of a folder runs at a time.
 *
 * @throws FinialError `internal` naming the file
 */
export async function saveAgentData(dir: string, data: AgentData): Promise<void> {
  const file = path.join(dir, FILE_NAME);
  try {
    await replaceFile(file, formatAgentData(data), OWNER_ONLY);
  } catch (error) {
    throw new FinialError('internal', `unable to write ${file}: ${messageOf(error)}`, { cause: error });
  }
}

/** The data of one folder for a running agent, whose parts each change what is theirs. */
export interface AgentStore {
  /** Where the data is, for those who have to look after it. */
  readonly file: string;
  readonly data: AgentData;
  /** Changes the data; resolves when the change survives a crash. Changes run one after the other. */
  update(change: (data: AgentData) => AgentData): Promise<void>;
  /**
   * Copies the file, which does not fit the keys, before it is written over.
   *
   * @param now Unix milliseconds
   * @returns where the copy is; undefined when there are copies enough
   */
  keepCopy(now: number): Promise<string | undefined>;
}

/**
 * Opens the data for this process alone, until it ends.
 *
 * @throws FinialError `failed-precondition` as `loadAgentData` does, and when another process has the data open
 */
export async function openAgentStore(dir: string): Promise<AgentStore> {
  const file = path.join(dir, FILE_NAME);
  lockForProcess(file, 'agent data');
  let data = await loadAgentData(dir);
  const inTurn = oneAtATime();
  return {
    file,
    get data() {
      return data;
    },
    update: (change) =>
      inTurn(async () => {
        const changed = change(data);
        await saveAgentData(dir, changed);
        data = changed;
      }),
    keepCopy: (now) => spareCopy(file, now),
  };
}

/** The data of an agent that has to attest again; what it counts of its start is kept. */
export function withoutSvid({ svid: _svid, ...data }: AgentData): AgentData {
  return { ...data, reattestable: false };
}

/** The text of the file, in the form in which the reference writes it. */
export function formatAgentData(data: AgentData): string {
  const { bootstrapStartTime: start } = data;
  return JSON.stringify({
    svid: formatChain(data.svid),
    bundle: formatChain(data.bundle),
    reattestable: data.reattestable,
    bootstrap_use: USES.indexOf(data.bootstrapUse),
    bootstrap_start_time: start === undefined ? ZERO_TIME : rfc3339(start, 'UTC', { fraction: true }),
    connection_attempts: data.connectionAttempts,
  });
}

/** Each certificate is PEM in base64. */
function formatChain(chain: readonly Buffer[] | undefined): string[] | null {
  return chain?.map((der) => Buffer.from(encodePem('CERTIFICATE', der)).toString('base64')) ?? null;
}

/** @throws Error saying what is wrong */
export function parseAgentData(bytes: Uint8Array): AgentData {
  const json = readObject(bytes);
  const svid = chainOf(json, 'svid');
  const bundle = chainOf(json, 'bundle');
  const bootstrapStartTime = timeOf(json['bootstrap_start_time']);
  return {
    ...(svid === undefined ? {} : { svid }),
    ...(bundle === undefined ? {} : { bundle }),
    ...(bootstrapStartTime === undefined ? {} : { bootstrapStartTime }),
    reattestable: flagOf(json['reattestable']),
    bootstrapUse: useOf(json['bootstrap_use']),
    connectionAttempts: countOf(json, 'connection_attempts'),
  };
}

function readObject(bytes: Uint8Array): JsonObject {
  try {
    const json = readJson(bytes, LIMITS);
    if (isJsonObject(json)) return json;
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new FinialError('invalid-argument', `not JSON: ${error.message}`, { cause: error });
  }
  throw wrong('not a JSON object');
}

function chainOf(json: JsonObject, name: string): readonly Buffer[] | undefined {
  const value = json[name];
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value)) throw wrong(`${name} is not a list`);
  const list: readonly JsonValue[] = value;
  if (list.length === 0) return undefined;
  return list.map((item, index) => {
    const place = `${name}[${index}]`;
    if (typeof item !== 'string') throw wrong(`${place} is not text`);
    try {
      const [der, ...others] = certificatesFromPem(Buffer.from(item, 'base64').toString('latin1'));
      if (der === undefined || others.length > 0) throw wrong('not exactly one certificate');
      parseCertificate(der);
      return der;
    } catch (error) {
      throw new FinialError('invalid-argument', `${place}: ${messageOf(error)}`, { cause: error });
    }
  });
}

function flagOf(value: JsonValue | undefined): boolean {
  if (value === undefined || value === null) return false;
  if (typeof value !== 'boolean') throw wrong('reattestable is neither true nor false');
  return value;
}

function useOf(value: JsonValue | undefined): BootstrapUse {
  if (value === undefined || value === null) return 'unset';
  const use = typeof value === 'number' ? USES[value] : undefined;
  if (use === undefined) throw wrong('bootstrap_use is none of 0, 1, 2');
  return use;
}

function countOf(json: JsonObject, name: string): number {
  const value = json[name] ?? 0;
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw wrong(`${name} is not a whole number`);
  return value;
}

const RFC3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})$/;

function timeOf(value: JsonValue | undefined): Date | undefined {
  if (value === undefined || value === null || value === ZERO_TIME) return undefined;
  const time = typeof value === 'string' && RFC3339.test(value) ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(time)) throw wrong('bootstrap_start_time is not a time');
  return new Date(time);
}

function wrong(what: string): FinialError {
  return new FinialError('invalid-argument', what);
}
