/** Who makes a request, as authentication found out. */
export interface User {
  readonly name: string;
  readonly uid: string;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

/** Members may do everything. */
export const MASTERS_GROUP = 'system:masters';
/** Every kubelet; its user is {@link NODE_USER_PREFIX} and the node's name. */
export const NODES_GROUP = 'system:nodes';
export const NODE_USER_PREFIX = 'system:node:';
export const AUTHENTICATED_GROUP = 'system:authenticated';
export const UNAUTHENTICATED_GROUP = 'system:unauthenticated';

/** Who asks when nobody says so and `--anonymous-auth` allows it. */
export const anonymousUser: User = {
  name: 'system:anonymous',
  uid: '',
  groups: [UNAUTHENTICATED_GROUP],
  extra: {},
};

/** A user that said who it is: it belongs to {@link AUTHENTICATED_GROUP} too. */
export function authenticatedUser(name: string, groups: readonly string[], uid = '', extra: User['extra'] = {}): User {
  return { name, uid, groups: [...new Set([...groups, AUTHENTICATED_GROUP])], extra };
}

/** The node whose kubelet this user is; undefined for anybody else. */
export function nodeNameOf({ name, groups }: User): string | undefined {
  if (!groups.includes(NODES_GROUP) || !name.startsWith(NODE_USER_PREFIX)) return undefined;
  const node = name.slice(NODE_USER_PREFIX.length);
  return node === '' ? undefined : node;
}
