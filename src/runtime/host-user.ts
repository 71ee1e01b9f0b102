import { readFileSync } from 'node:fs';
import { grpcCodes, type LinuxContainerSecurityContext, RuntimeCallError } from '../cri/index.ts';
import type { ProcessUser } from './process/index.ts';

/**
 * Who a container's processes run as: the user of the security context, its group or else the one in /etc/passwd.
 *
 * @returns undefined when nobody is named: as the runtime itself
 * @throws RuntimeCallError InvalidArgument for a group without user; Unknown for a user name that nobody has
 */
export function userOf(context: LinuxContainerSecurityContext | undefined): ProcessUser | undefined {
  if (context === undefined) return undefined;
  const { runAsUser, runAsUsername, runAsGroup } = context;
  if (runAsUser === undefined && runAsUsername === '') {
    if (runAsGroup === undefined) return undefined;
    throw new RuntimeCallError(grpcCodes.InvalidArgument, 'user group is specified without user');
  }
  const entry =
    runAsUser === undefined
      ? passwdEntry((fields) => fields[0] === runAsUsername)
      : passwdEntry((fields) => fields[2] === String(runAsUser.value));
  const uid = runAsUser === undefined ? entry?.uid : Number(runAsUser.value);
  if (uid === undefined) {
    throw new RuntimeCallError(grpcCodes.Unknown, `no user ${JSON.stringify(runAsUsername)} in /etc/passwd`);
  }
  const gid = runAsGroup === undefined ? (entry?.gid ?? 0) : Number(runAsGroup.value);
  return { uid, gid, groups: context.supplementalGroups.map(Number) };
}

function passwdEntry(isWanted: (fields: readonly string[]) => boolean): { uid: number; gid: number } | undefined {
  const fields = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .find(isWanted);
  return fields === undefined ? undefined : { uid: Number(fields[2]), gid: Number(fields[3]) };
}
