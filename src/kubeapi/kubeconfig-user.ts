import { ExecPathError } from '../common/errors.ts';
import type { ClientConfig, ClientOverrides } from './client-config.ts';
import type { Located, UserEntry } from './kubeconfig.ts';

/** The part of a ClientConfig that says who calls. */
export type Authentication = Pick<
  ClientConfig,
  'clientCertificate' | 'clientKey' | 'token' | 'tokenFile' | 'basic' | 'exec' | 'impersonate'
>;

/**
 * Who calls: the user of the file with the flags on top.
 *
 * @param name the user's, for errors
 * @throws ExecPathError ERR_KUBECONFIG when two ways to be known exclude each other
 */
export function authenticationOf(
  located: Located<UserEntry> | undefined,
  name: string | undefined,
  overrides: ClientOverrides,
): Authentication {
  const user = located?.entry;
  const where = located === undefined ? 'the flags' : `${located.file}: user ${JSON.stringify(name ?? '')}`;
  const username = overrides.username ?? (overrides.token === undefined ? user?.username : undefined);
  // A token or a password given by flag replaces whatever the file says about who calls.
  const keepTokens = overrides.token === undefined && overrides.username === undefined;
  const token = overrides.token ?? (keepTokens ? user?.token : undefined);
  const tokenFile = keepTokens ? user?.tokenFile : undefined;
  if (username !== undefined && (token !== undefined || tokenFile !== undefined)) {
    throw refuse(`${where}: a token and a username exclude each other: remove one`);
  }
  const impersonate = {
    user: overrides.as ?? user?.impersonate.user,
    uid: overrides.asUid ?? user?.impersonate.uid,
    groups: overrides.asGroups ?? user?.impersonate.groups,
    extra: overrides.asUserExtra ?? user?.impersonate.extra,
  };
  const { groups = [], extra = {} } = impersonate;
  if (impersonate.user === undefined && (impersonate.uid ?? groups[0] ?? Object.keys(extra)[0]) !== undefined) {
    throw refuse(`${where}: as-uid, as-groups and as-user-extra need as (the user to act as)`);
  }
  return {
    ...certificateOf(user, overrides, where),
    token,
    tokenFile,
    basic: username === undefined ? undefined : { username, password: overrides.password ?? user?.password ?? '' },
    exec: keepTokens ? user?.exec : undefined,
    impersonate,
  };
}

function certificateOf(
  user: UserEntry | undefined,
  overrides: ClientOverrides,
  where: string,
): Pick<Authentication, 'clientCertificate' | 'clientKey'> {
  const { clientCertificate: certificate, clientKey: key } = overrides;
  const pair = {
    clientCertificate: certificate === undefined ? user?.clientCertificate : { file: certificate },
    clientKey: key === undefined ? user?.clientKey : { file: key },
  };
  if ((pair.clientCertificate === undefined) !== (pair.clientKey === undefined)) {
    throw refuse(`${where}: a client certificate and its key go together: give both or none`);
  }
  return pair;
}

function refuse(message: string): ExecPathError {
  return new ExecPathError('ERR_KUBECONFIG', message, { hop: 'client' });
}
