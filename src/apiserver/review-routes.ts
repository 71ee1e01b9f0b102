import { isJsonObject, type JsonObject } from '../common/json-object.ts';
import type { User } from '../identity/index.ts';
import { type Authenticator } from '../identity/index.ts';
import { sendJson } from './answer.ts';
import { badRequest, methodNotAllowed, unknownPath } from './api-error.ts';
import { textAt, valueAt } from './api-object.ts';
import { type Authorizer, attributesOf } from './authorization.ts';
import type { Exchange } from './exchange.ts';
import { FieldSelector } from './field-selector.ts';
import { type BodyOptions, readObject } from './request-body.ts';
import type { RequestInfo, ResourceRequest } from './request-info.ts';
import {
  localSubjectAccessReview,
  type ReviewKind,
  selfSubjectAccessReview,
  selfSubjectReview,
  selfSubjectRulesReview,
  subjectAccessReview,
  tokenReview,
} from './review-kinds.ts';

export interface ReviewRouteOptions {
  readonly authenticator: Authenticator;
  readonly authorizer: Authorizer;
  readonly body?: BodyOptions;
}

/**
 * Questions about callers: who am I, may I, may they, whose token is this. The answer is the question with its
 * `status`, 201, and nothing is kept.
 */
export class ReviewRoutes {
  readonly #options: ReviewRouteOptions;

  constructor(options: ReviewRouteOptions) {
    this.#options = options;
  }

  /** Answers one request. @throws what becomes its Status */
  async serve(exchange: Exchange, info: ResourceRequest, review: ReviewKind): Promise<void> {
    if (info.subresource !== '' || info.name !== '' || (info.namespace !== '') !== review.namespaced)
      throw unknownPath();
    if (info.verb !== 'create') throw methodNotAllowed();
    const body = (await readObject(exchange.request, this.#options.body)) ?? {};
    if (body['kind'] !== undefined && body['kind'] !== review.kind) {
      throw badRequest(
        `the kind in the data (${textAt(body, ['kind'])}) does not match the expected kind (${review.kind})`,
      );
    }
    const spec = isJsonObject(body['spec']) ? body['spec'] : {};
    const status = await this.#answer(review, { user: exchange.user, spec, namespace: info.namespace });
    sendJson(exchange.response, 201, {
      kind: review.kind,
      apiVersion: `${review.group}/${review.version}`,
      metadata: { creationTimestamp: null },
      ...(review === selfSubjectReview ? {} : { spec: review === tokenReview ? { ...spec, token: undefined } : spec }),
      status,
    });
  }

  async #answer(
    review: ReviewKind,
    question: { readonly user: User; readonly spec: JsonObject; readonly namespace: string },
  ): Promise<unknown> {
    const { user, spec, namespace } = question;
    switch (review) {
      case selfSubjectReview:
        return { userInfo: userInfoOf(user) };
      case selfSubjectAccessReview:
        return this.#mayDo(user, spec);
      case selfSubjectRulesReview:
        return this.#options.authorizer.rulesFor(user, textAt(spec, ['namespace']));
      case subjectAccessReview:
        return this.#mayDo(subjectOf(spec), spec);
      case localSubjectAccessReview: {
        if (textAt(spec, ['resourceAttributes', 'namespace']) !== namespace) {
          throw badRequest(`spec.resourceAttributes.namespace must match namespace: ${namespace}`);
        }
        return this.#mayDo(subjectOf(spec), spec);
      }
      default:
        return this.#whoseToken(spec);
    }
  }

  async #mayDo(user: User, spec: JsonObject): Promise<unknown> {
    const { verdict, reason } = await this.#options.authorizer.authorize(user, attributesOf(attributesIn(spec)));
    return {
      allowed: verdict === 'allow',
      ...(verdict === 'deny' ? { denied: true } : {}),
      ...(reason === '' ? {} : { reason }),
    };
  }

  async #whoseToken(spec: JsonObject): Promise<unknown> {
    const token = textAt(spec, ['token']);
    if (token === '') throw badRequest('token is required for TokenReview in authentication');
    const user = await this.#options.authenticator.userOfToken(token);
    return user === undefined ? {} : { authenticated: true, user: userInfoOf(user) };
  }
}

/** @throws ExecPathError ERR_BAD_REQUEST unless there is exactly one of the two kinds of attributes */
function attributesIn(spec: JsonObject): RequestInfo {
  const { resourceAttributes, nonResourceAttributes } = spec;
  if (isJsonObject(resourceAttributes) === isJsonObject(nonResourceAttributes)) {
    throw badRequest('spec must have exactly one of resourceAttributes and nonResourceAttributes');
  }
  if (isJsonObject(nonResourceAttributes)) {
    const { path, verb } = textsOf(nonResourceAttributes, ['path', 'verb']);
    return { kind: 'path', path, verb };
  }
  const fields = ['verb', 'group', 'version', 'resource', 'subresource', 'namespace', 'name'] as const;
  return { kind: 'resource', ...textsOf(resourceAttributes, fields), fieldSelector: new FieldSelector([]) };
}

function textsOf<K extends string>(object: unknown, fields: readonly K[]): Record<K, string> {
  return Object.fromEntries(fields.map((field) => [field, textAt(object, [field])])) as Record<K, string>;
}

/** @throws ExecPathError ERR_BAD_REQUEST when nobody is named */
function subjectOf(spec: JsonObject): User {
  const groups = valueAt(spec, ['groups']);
  const names = Array.isArray(groups) ? groups.filter((group) => typeof group === 'string') : [];
  const name = textAt(spec, ['user']);
  if (name === '' && names.length === 0) throw badRequest('at least one of user or group must be specified');
  return { name, uid: textAt(spec, ['uid']), groups: names, extra: {} };
}

function userInfoOf({ name, uid, groups, extra }: User): unknown {
  return {
    username: name,
    ...(uid === '' ? {} : { uid }),
    groups,
    ...(Object.keys(extra).length === 0 ? {} : { extra }),
  };
}
