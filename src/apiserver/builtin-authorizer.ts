import { AUTHENTICATED_GROUP, MASTERS_GROUP, type User } from '../identity/index.ts';
import { type Authorizer, everything, noOpinion, type PathRule, type ResourceRule } from './authorization.ts';
import type { RequestInfo } from './request-info.ts';

/** What monitoring and load balancers read, signed in or not. */
const publicPaths = ['/healthz', '/livez', '/readyz', '/version', '/version/'];

/** What everybody who is signed in may read: the shape of the API, not what is in it. A `*` at the end stands for any rest. */
const discoveryPaths = [...publicPaths, '/api', '/api/*', '/apis', '/apis/*', '/openapi', '/openapi/*'];

/** Questions about oneself. */
const selfReviews: readonly ResourceRule[] = [
  {
    verbs: ['create'],
    apiGroups: ['authorization.k8s.io'],
    resources: ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'],
  },
  { verbs: ['create'], apiGroups: ['authentication.k8s.io'], resources: ['selfsubjectreviews'] },
];

/** The rules that hold without any policy: masters may do everything, everybody else next to nothing. */
export const builtinAuthorizer: Authorizer = {
  async authorize(user, attributes) {
    if (user.groups.includes(MASTERS_GROUP)) return { verdict: 'allow', reason: '' };
    const { resourceRules, nonResourceRules } = rulesOf(user);
    const isAllowed =
      attributes.kind === 'path'
        ? nonResourceRules.some((rule) => coversPath(rule, attributes.verb, attributes.path))
        : resourceRules.some((rule) => coversResource(rule, attributes));
    return isAllowed ? { verdict: 'allow', reason: '' } : noOpinion;
  },
  async rulesFor(user) {
    return user.groups.includes(MASTERS_GROUP) ? everything : { ...rulesOf(user), incomplete: false };
  },
};

function rulesOf(user: User): {
  readonly resourceRules: readonly ResourceRule[];
  readonly nonResourceRules: readonly PathRule[];
} {
  const isAuthenticated = user.groups.includes(AUTHENTICATED_GROUP);
  return {
    resourceRules: isAuthenticated ? selfReviews : [],
    nonResourceRules: [{ verbs: ['get'], nonResourceURLs: isAuthenticated ? discoveryPaths : publicPaths }],
  };
}

function coversPath({ verbs, nonResourceURLs }: PathRule, verb: string, path: string): boolean {
  if (!verbs.includes(verb)) return false;
  return nonResourceURLs.some((pattern) =>
    pattern.endsWith('*') ? path.startsWith(pattern.slice(0, -1)) : path === pattern,
  );
}

function coversResource(rule: ResourceRule, info: Extract<RequestInfo, { kind: 'resource' }>): boolean {
  return (
    rule.verbs.includes(info.verb) &&
    rule.apiGroups.includes(info.group) &&
    rule.resources.includes(info.resource) &&
    info.subresource === ''
  );
}
