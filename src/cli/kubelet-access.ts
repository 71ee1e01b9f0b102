import { Authenticator, MASTERS_GROUP, type TokenSource } from '../identity/index.ts';
import type { KubeClient } from '../kubeapi/index.ts';
import type { KubeletOptions } from '../kubelet/index.ts';

export interface KubeletAccessOptions {
  /** `Webhook` asks the apiserver; `BuiltIn` lets system:masters in; `AlwaysAllow` everybody who said who it is. */
  readonly mode: 'Webhook' | 'BuiltIn' | 'AlwaysAllow';
  readonly anonymousAuth: boolean;
  /** Asks the apiserver whose a bearer token is. */
  readonly tokenWebhook: boolean;
  readonly nodeName: string;
  /** Of the apiserver; needed by the webhooks. */
  readonly client: KubeClient | undefined;
}

/** How a kubelet knows who calls and what they may do. A webhook that fails is a refusal. */
export function kubeletAccess(options: KubeletAccessOptions): Pick<KubeletOptions, 'authenticate' | 'authorize'> {
  const { client, tokenWebhook, anonymousAuth, mode, nodeName } = options;
  const tokens = client !== undefined && tokenWebhook ? [tokenReviews(client)] : [];
  const authenticator = new Authenticator({ tokens, anonymousAuth, hop: 'kubelet' });
  return {
    authenticate: (request) => authenticator.authenticate(request),
    authorize: async (user, access) => {
      if (mode === 'AlwaysAllow') return true;
      if (mode === 'BuiltIn' || client === undefined) return user.groups.includes(MASTERS_GROUP);
      for (const subresource of access.subresources) {
        const resourceAttributes = { verb: access.verb, version: 'v1', resource: 'nodes', subresource, name: nodeName };
        const spec = { user: user.name, groups: user.groups, resourceAttributes };
        const { status } = await review<{ allowed?: boolean }>(client, 'authorization', 'SubjectAccessReview', spec);
        if (status?.allowed === true) return true;
      }
      return false;
    },
  };
}

function tokenReviews(client: KubeClient): TokenSource {
  return {
    userOf: async (token) => {
      const { status } = await review<TokenStatus>(client, 'authentication', 'TokenReview', { token });
      const { username, uid = '', groups = [], extra = {} } = status?.user ?? {};
      return status?.authenticated === true && username !== undefined
        ? { name: username, uid, groups, extra }
        : undefined;
    },
  };
}

interface TokenStatus {
  readonly authenticated?: boolean;
  readonly user?: {
    readonly username?: string;
    readonly uid?: string;
    readonly groups?: readonly string[];
    readonly extra?: Readonly<Record<string, readonly string[]>>;
  };
}

function review<T>(
  client: KubeClient,
  group: 'authentication' | 'authorization',
  kind: 'TokenReview' | 'SubjectAccessReview',
  spec: object,
): Promise<{ readonly status?: T }> {
  const apiVersion = `${group}.k8s.io/v1`;
  return client.call('POST', `/apis/${apiVersion}/${kind.toLowerCase()}s`, { body: { apiVersion, kind, spec } });
}
