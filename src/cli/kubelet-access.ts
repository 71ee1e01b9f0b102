import { createHash } from 'node:crypto';
import { ExecPathError, toError } from '../common/errors.ts';
import { Authenticator, MASTERS_GROUP, type TokenSource, type User } from '../identity/index.ts';
import type { KubeClient } from '../kubeapi/index.ts';
import type { KubeletOptions } from '../kubelet/index.ts';
import { ReviewCache } from './review-cache.ts';

/** Longest wait for the apiserver's word on a caller, in ms; below what clients wait for the kubelet. */
const REVIEW_TIMEOUT_MS = 10_000;

/** How long the apiserver's words count, in ms; 0 for not at all. The defaults are upstream's. */
export interface ReviewTimes {
  /** `--authentication-token-webhook-cache-ttl`; default 2 minutes. */
  readonly tokenMs: number | undefined;
  /** `--authorization-webhook-cache-authorized-ttl`; default 5 minutes. */
  readonly allowedMs: number | undefined;
  /** `--authorization-webhook-cache-unauthorized-ttl`; default 30 s. */
  readonly refusedMs: number | undefined;
}

export interface KubeletAccessOptions {
  /** `Webhook` asks the apiserver; `BuiltIn` lets system:masters in; `AlwaysAllow` everybody who said who it is. */
  readonly mode: 'Webhook' | 'BuiltIn' | 'AlwaysAllow';
  readonly anonymousAuth: boolean;
  /** Asks the apiserver whose a bearer token is. */
  readonly tokenWebhook: boolean;
  readonly nodeName: string;
  /** Of the apiserver; needed by the webhooks. */
  readonly client: KubeClient | undefined;
  readonly times: ReviewTimes;
}

/** How a kubelet knows who calls and what they may do. A webhook that fails lets nobody in. */
export function kubeletAccess(options: KubeletAccessOptions): Pick<KubeletOptions, 'authenticate' | 'authorize'> {
  const { client, tokenWebhook, anonymousAuth, mode, nodeName, times } = options;
  const tokens = client !== undefined && tokenWebhook ? [tokenReviews(client, times)] : [];
  const { allowedMs = 300_000, refusedMs = 30_000 } = times;
  const answers = new ReviewCache<boolean>((allowed) => (allowed ? allowedMs : refusedMs));
  const authenticator = new Authenticator({ tokens, anonymousAuth, hop: 'kubelet' });
  return {
    authenticate: (request) => authenticator.authenticate(request),
    authorize: async (user, access) => {
      if (mode === 'AlwaysAllow') return true;
      if (mode === 'BuiltIn' || client === undefined) return user.groups.includes(MASTERS_GROUP);
      for (const subresource of access.subresources) {
        const resourceAttributes = { verb: access.verb, version: 'v1', resource: 'nodes', subresource, name: nodeName };
        const spec = { user: user.name, groups: user.groups, resourceAttributes };
        const allowed = await answers.get(JSON.stringify(spec), async () => {
          const { status } = await review<{ allowed?: boolean }>(client, 'authorization', 'SubjectAccessReview', spec);
          return status?.allowed === true;
        });
        if (allowed) return true;
      }
      return false;
    },
  };
}

function tokenReviews(client: KubeClient, { tokenMs = 120_000 }: ReviewTimes): TokenSource {
  const users = new ReviewCache<User | undefined>(() => tokenMs);
  return {
    userOf: (token) =>
      users.get(createHash('sha256').update(token).digest('hex'), async () => {
        const { status } = await review<TokenStatus>(client, 'authentication', 'TokenReview', { token });
        const { username, uid = '', groups = [], extra = {} } = status?.user ?? {};
        return status?.authenticated === true && username !== undefined
          ? { name: username, uid, groups, extra }
          : undefined;
      }),
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

async function review<T>(
  client: KubeClient,
  group: 'authentication' | 'authorization',
  kind: 'TokenReview' | 'SubjectAccessReview',
  spec: object,
): Promise<{ readonly status?: T }> {
  const apiVersion = `${group}.k8s.io/v1`;
  const options = { body: { apiVersion, kind, spec }, timeoutMs: REVIEW_TIMEOUT_MS };
  try {
    return await client.call('POST', `/apis/${apiVersion}/${kind.toLowerCase()}s`, options);
  } catch (cause) {
    const message = `the kubelet cannot ask its apiserver about the caller: ${toError(cause).message}`;
    throw new ExecPathError('ERR_REVIEW', message, { cause, hop: 'apiserver' });
  }
}
