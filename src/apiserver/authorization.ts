import type { User } from '../identity/index.ts';
import type { ConnectSubresource } from './connect-request.ts';
import type { RequestInfo, ResourceRequest } from './request-info.ts';

/** `no-opinion` leaves it to the next authorizer; when none says `allow`, the request is refused. */
export interface Decision {
  readonly verdict: 'allow' | 'deny' | 'no-opinion';
  /** For audit, and behind the text of a refusal; `''` when there is nothing to say. */
  readonly reason: string;
}

/** A rule as SelfSubjectRulesReview shows it. */
export interface ResourceRule {
  readonly verbs: readonly string[];
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
}

export interface PathRule {
  readonly verbs: readonly string[];
  readonly nonResourceURLs: readonly string[];
}

/** What a user may do, as far as it can be listed. */
export interface RuleList {
  readonly resourceRules: readonly ResourceRule[];
  readonly nonResourceRules: readonly PathRule[];
  /** There are rules that no list can show. */
  readonly incomplete: boolean;
}

/** Decides who may do what. Room for policies such as RBAC: each is one more of these. */
export interface Authorizer {
  authorize(user: User, attributes: RequestInfo): Promise<Decision>;
  /** For `kubectl auth can-i --list`. */
  rulesFor(user: User, namespace: string): Promise<RuleList>;
}

export const noOpinion: Decision = { verdict: 'no-opinion', reason: '' };

/** `--authorization-mode=AlwaysAllow`: whoever is authenticated may do everything. */
export const alwaysAllow: Authorizer = {
  authorize: async () => ({ verdict: 'allow', reason: '' }),
  rulesFor: async () => everything,
};

/** What a member of `system:masters` may do. */
export const everything: RuleList = {
  resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }],
  nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
  incomplete: false,
};

/** Asks each in turn until one has an opinion. */
export function firstOpinionOf(authorizers: readonly Authorizer[]): Authorizer {
  return {
    async authorize(user, attributes) {
      const reasons: string[] = [];
      for (const authorizer of authorizers) {
        const decision = await authorizer.authorize(user, attributes);
        if (decision.verdict !== 'no-opinion') return decision;
        if (decision.reason !== '') reasons.push(decision.reason);
      }
      return { verdict: 'no-opinion', reason: reasons.join(', ') };
    },
    async rulesFor(user, namespace) {
      const lists = await Promise.all(authorizers.map((authorizer) => authorizer.rulesFor(user, namespace)));
      return {
        resourceRules: lists.flatMap(({ resourceRules }) => resourceRules),
        nonResourceRules: lists.flatMap(({ nonResourceRules }) => nonResourceRules),
        incomplete: lists.some(({ incomplete }) => incomplete),
      };
    },
  };
}

/** A request for a streaming subresource of one pod. */
export interface ConnectInfo extends ResourceRequest {
  readonly subresource: ConnectSubresource;
}

const connectSubresources: readonly string[] = ['exec', 'attach', 'portforward'] satisfies ConnectSubresource[];

/** True for the subresources of a pod that take an upgraded connection. */
export function isConnect(info: RequestInfo): info is ConnectInfo {
  if (info.kind !== 'resource' || info.group !== '' || info.version !== 'v1' || info.resource !== 'pods') return false;
  return info.namespace !== '' && connectSubresources.includes(info.subresource);
}

/**
 * What a request has to be allowed. A streaming subresource always needs `create`, whatever the method: a right to read
 * pods must not be a right to run commands in them (upstream since 1.35).
 */
export function attributesOf(info: RequestInfo): RequestInfo {
  const isStream =
    info.kind === 'resource' && info.resource === 'pods' && connectSubresources.includes(info.subresource);
  return isStream ? { ...info, verb: 'create' } : info;
}

/** The refusal in upstream's words, without what it says of the object. */
export function refusalText(user: User, attributes: ResourceRequest, reason: string): string {
  const { verb, group, resource, subresource, namespace } = attributes;
  const what = subresource === '' ? resource : `${resource}/${subresource}`;
  const where = namespace === '' ? 'at the cluster scope' : `in the namespace "${namespace}"`;
  const text = `User "${user.name}" cannot ${verb} resource "${what}" in API group "${group}" ${where}`;
  return reason === '' ? text : `${text}: ${reason}`;
}
