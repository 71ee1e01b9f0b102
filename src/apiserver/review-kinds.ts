/** A kind that is only ever POSTed: a question that the answer's `status` settles. Nothing of it is kept. */
export interface ReviewKind {
  readonly group: string;
  readonly version: 'v1';
  readonly plural: string;
  readonly singular: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

const authentication = { group: 'authentication.k8s.io', version: 'v1', namespaced: false } as const;
const authorization = { group: 'authorization.k8s.io', version: 'v1', namespaced: false } as const;

const review = (base: Pick<ReviewKind, 'group' | 'version' | 'namespaced'>, kind: string): ReviewKind => ({
  ...base,
  plural: `${kind.toLowerCase()}s`,
  singular: kind.toLowerCase(),
  kind,
});

/** `kubectl auth whoami` */
export const selfSubjectReview = review(authentication, 'SelfSubjectReview');
/** Whose token is this: asked by kubelets. */
export const tokenReview = review(authentication, 'TokenReview');
export const localSubjectAccessReview = review({ ...authorization, namespaced: true }, 'LocalSubjectAccessReview');
/** `kubectl auth can-i` */
export const selfSubjectAccessReview = review(authorization, 'SelfSubjectAccessReview');
/** `kubectl auth can-i --list` */
export const selfSubjectRulesReview = review(authorization, 'SelfSubjectRulesReview');
/** May somebody do this: asked by kubelets. */
export const subjectAccessReview = review(authorization, 'SubjectAccessReview');

export const reviewKinds: readonly ReviewKind[] = [
  selfSubjectReview,
  tokenReview,
  localSubjectAccessReview,
  selfSubjectAccessReview,
  selfSubjectRulesReview,
  subjectAccessReview,
];
