import type { User } from '../../identity/index.ts';
import type { KubeClient } from '../../kubeapi/index.ts';
import type { ResourceRequest } from '../request-info.ts';

export interface Verdict {
  readonly isAllowed: boolean;
  /** The cluster's words; `''` when it has none. */
  readonly reason: string;
}

/** Asks the cluster what somebody may do, by our own credentials. */
export class AccessReviews {
  readonly #client: KubeClient;

  constructor(client: KubeClient) {
    this.#client = client;
  }

  /** @throws ApiStatusError when we may not ask; ERR_DIAL … */
  async mayDo({ name, uid, groups, extra }: User, request: ResourceRequest): Promise<Verdict> {
    const { verb, group, version, resource, subresource, namespace, name: object } = request;
    const resourceAttributes = { verb, group, version, resource, subresource, namespace, name: object };
    const body = {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      spec: { resourceAttributes, user: name, groups, uid, extra },
    };
    const path = '/apis/authorization.k8s.io/v1/subjectaccessreviews';
    const { status } = await this.#client.call<{ status?: { allowed?: boolean; reason?: string } }>('POST', path, {
      body,
    });
    return { isAllowed: status?.allowed === true, reason: status?.reason ?? '' };
  }
}
