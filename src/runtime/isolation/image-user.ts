import { readFileSync } from 'node:fs';
import {
  grpcCodes,
  type LinuxContainerSecurityContext,
  RuntimeCallError,
  SupplementalGroupsPolicy,
} from '../../cri/index.ts';
import { IdMap, type ProcessUser, resolveInside } from '../process/index.ts';

export interface ImageUser extends Required<ProcessUser> {
  readonly home: string;
}

/**
 * Who a container's processes are: of the security context, else of the image, else root; names and groups as the
 * image's own passwd and group files have them.
 *
 * @param root the image's root folder
 * @param imageUser `user`, `uid`, `user:group` …
 * @throws RuntimeCallError InvalidArgument for a group without user; Unknown for a name that the image does not know
 */
export function imageUserOf(
  root: string,
  imageUser: string,
  context: LinuxContainerSecurityContext | undefined,
): ImageUser {
  const { runAsUser, runAsUsername = '', runAsGroup, supplementalGroups = [] } = context ?? {};
  if (runAsGroup !== undefined && runAsUser === undefined && runAsUsername === '') {
    throw new RuntimeCallError(grpcCodes.InvalidArgument, 'user group is specified without user');
  }
  const isGiven = runAsUser !== undefined || runAsUsername !== '';
  const spec = isGiven ? (runAsUser?.value.toString() ?? runAsUsername) : imageUser;
  const [userName = '', groupName = ''] = spec.split(':');
  const passwd = entries(root, '/etc/passwd');
  const entry =
    passwd.find((fields) => fields[0] === userName) ?? passwd.find((fields) => fields[2] === (userName || '0'));
  const uid = numberOf(entry?.[2]) ?? numberOf(userName || '0');
  if (uid === undefined) throw unknown('user', userName);
  const groups = entries(root, '/etc/group');
  const gid = runAsGroup === undefined ? groupId(groups, groupName, entry?.[3]) : Number(runAsGroup.value);
  const name = entry?.[0];
  // Strict: only the groups that were asked for; Merge, the default: those of the image too.
  const own =
    context?.supplementalGroupsPolicy === SupplementalGroupsPolicy.Strict
      ? []
      : groups.filter((fields) => isMember(fields, name));
  const asked = supplementalGroups.map(Number);
  const ids = IdMap.own();
  assertMapped(ids, uid, [gid, ...asked]);
  const more = own.map((fields) => Number(fields[2])).filter((group) => ids.canSetGroups && ids.hasGroup(group));
  return { uid, gid, groups: [...new Set([...more, ...asked])], home: entry?.[5] || '/' };
}

/** @throws RuntimeCallError InvalidArgument for a user or group that our user namespace does not have */
function assertMapped(ids: IdMap, uid: number, groups: readonly number[]): void {
  const group = groups.find((gid) => !ids.hasGroup(gid) || (gid !== groups[0] && !ids.canSetGroups));
  const what = ids.hasUser(uid) ? (group === undefined ? undefined : `group ${group}`) : `user ${uid}`;
  if (what === undefined) return;
  const remedy = 'run it as root, or install uidmap and give yourself a range of ids in /etc/subuid and /etc/subgid';
  const rule = `there is no ${what} for a container: this runtime runs without root, in a user namespace`;
  throw new RuntimeCallError(grpcCodes.InvalidArgument, `${rule}; ${remedy}`);
}

function isMember(fields: readonly string[], name: string | undefined): boolean {
  return name !== undefined && (fields[3] ?? '').split(',').includes(name) && numberOf(fields[2]) !== undefined;
}

function groupId(groups: readonly string[][], name: string, ofUser: string | undefined): number {
  if (name === '') return numberOf(ofUser) ?? 0;
  const gid = numberOf(groups.find((fields) => fields[0] === name)?.[2]) ?? numberOf(name);
  if (gid === undefined) throw unknown('group', name);
  return gid;
}

function unknown(kind: string, name: string): RuntimeCallError {
  return new RuntimeCallError(grpcCodes.Unknown, `no ${kind} ${JSON.stringify(name)} in the image`);
}

function numberOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}

/** Lines of fields; none when the image has no such file. */
function entries(root: string, file: string): string[][] {
  try {
    const text = readFileSync(resolveInside(root, file), 'utf8');
    return text.split('\n').map((line) => line.split(':'));
  } catch {
    return [];
  }
}
