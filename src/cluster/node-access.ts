import { Authenticator, MASTERS_GROUP } from '../identity/index.ts';
import type { KubeletOptions } from '../kubelet/index.ts';

/** Who may use the node's kubelet: holders of a certificate of our authority with the group system:masters. */
export function nodeAccess(): Pick<KubeletOptions, 'authenticate' | 'authorize'> {
  const authenticator = new Authenticator({ tokens: [], anonymousAuth: false, hop: 'kubelet' });
  return {
    authenticate: (request) => authenticator.authenticate(request),
    authorize: async ({ groups }) => groups.includes(MASTERS_GROUP),
  };
}
