import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { ExecPathError, toError } from '../common/errors.ts';
import { authenticatedUser, type User } from './user.ts';

/** How long what was read counts as fresh, in ms: a change is seen at the first request after it. */
const FRESH_MS = 1000;

/**
 * The users of a file such as kube-apiserver's `--token-auth-file`: lines of `token,user,uid` or
 * `token,user,uid,"group1,group2"`.
 *
 * The file is read again when it has changed. A changed file that cannot be read leaves the old users in place, and
 * `onProblem` is told once for each such change.
 */
export class TokenFile {
  readonly #path: string;
  readonly #onProblem: (problem: Error) => void;
  #users: ReadonlyMap<string, User>;
  #version: string;
  #checkedAt = Date.now();

  /** @throws ExecPathError ERR_BAD_REQUEST when the file cannot be read now */
  constructor(path: string, onProblem: (problem: Error) => void) {
    this.#path = path;
    this.#onProblem = onProblem;
    this.#version = versionOf(path);
    this.#users = readUsers(path);
  }

  /** The user whose token this is. Tokens are compared by their hashes, so timing tells nothing of them. */
  userOf(token: string): User | undefined {
    this.#refresh();
    return this.#users.get(hashOf(token));
  }

  #refresh(): void {
    if (Date.now() - this.#checkedAt < FRESH_MS) return;
    this.#checkedAt = Date.now();
    const version = versionOf(this.#path);
    if (version === this.#version) return;
    this.#version = version;
    try {
      this.#users = readUsers(this.#path);
    } catch (problem) {
      this.#onProblem(toError(problem));
    }
  }
}

/** Changes whenever the file's content may have. */
function versionOf(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false, bigint: true });
  return stat === undefined ? '' : `${stat.ino} ${stat.size} ${stat.mtimeNs}`;
}

function readUsers(path: string): ReadonlyMap<string, User> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw refuse(path, toError(cause).message, cause);
  }
  return parseTokens(text, path);
}

/**
 * Reads the lines of a token file; blank ones are left out.
 *
 * @returns users by the hash of their token
 * @throws ExecPathError ERR_BAD_REQUEST naming the line, never quoting it: it is a secret
 */
export function parseTokens(text: string, path: string): ReadonlyMap<string, User> {
  const users = new Map<string, User>();
  for (const [at, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const fields = splitCsv(line.replace(/\r$/, ''));
    if (fields === undefined) throw refuse(path, `line ${at + 1} has a quote that does not end`);
    const [token = '', name = '', uid = '', groups = ''] = fields.map((field) => field.trim());
    if (fields.length < 3)
      throw refuse(path, `line ${at + 1} has ${fields.length} columns, not token,user,uid[,"groups"]`);
    if (token === '' || name === '') throw refuse(path, `line ${at + 1} has an empty token or user`);
    if (users.has(hashOf(token))) throw refuse(path, `line ${at + 1} repeats the token of an earlier line`);
    const names = groups.split(',').map((group) => group.trim());
    users.set(
      hashOf(token),
      authenticatedUser(
        name,
        names.filter((group) => group !== ''),
        uid,
      ),
    );
  }
  return users;
}

/** Fields between commas; a field in quotes may hold commas, and a quote as two. */
function splitCsv(line: string): string[] | undefined {
  const fields: string[] = [];
  const field = /\s*(?:"((?:[^"]|"")*)"\s*|([^",]*))(,|$)/y;
  for (;;) {
    const match = field.exec(line);
    if (match === null) return undefined;
    const [, quoted, plain = '', end] = match;
    fields.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === '') return fields;
  }
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('base64');
}

function refuse(path: string, why: string, cause?: unknown): ExecPathError {
  return new ExecPathError('ERR_BAD_REQUEST', `the token file ${path} cannot be used: ${why}`, { cause });
}
