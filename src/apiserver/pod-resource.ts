import { pods } from '../kubeapi/index.ts';
import { duplicateField, type FieldError, forbiddenField, invalidField, requiredField } from './api-error.ts';
import { type ApiObject, isJsonObject, isSameJson, type JsonObject, objectsAt, textAt, valueAt } from './api-object.ts';
import { isDnsLabel } from './object-names.ts';
import { podShape } from './object-shapes.ts';
import type { Resource } from './resource.ts';

/** Upstream's default for `spec.terminationGracePeriodSeconds`. */
const DEFAULT_GRACE_SECONDS = 30;

/** The longest grace, in seconds: 68 years. */
const MAX_GRACE_SECONDS = 2_147_483_647;

const connectVerbs = ['create', 'get'];

export const podResource: Resource = {
  ...pods,
  singular: 'pod',
  shortNames: ['po'],
  categories: ['all'],
  fields: podShape,
  hasStatus: true,
  subresources: [
    { name: 'attach', kind: 'PodAttachOptions', verbs: connectVerbs },
    { name: 'ephemeralcontainers', kind: 'Pod', verbs: ['get', 'patch', 'update'] },
    { name: 'exec', kind: 'PodExecOptions', verbs: connectVerbs },
    { name: 'log', kind: 'Pod', verbs: ['get'] },
    { name: 'portforward', kind: 'PodPortForwardOptions', verbs: connectVerbs },
    { name: 'status', kind: 'Pod', verbs: ['get', 'patch', 'update'] },
  ],
  selectableFields: (pod) => ({
    'spec.nodeName': textAt(pod, ['spec', 'nodeName']),
    'spec.restartPolicy': textAt(pod, ['spec', 'restartPolicy']),
    'spec.schedulerName': textAt(pod, ['spec', 'schedulerName']),
    'spec.serviceAccountName': textAt(pod, ['spec', 'serviceAccountName']),
    'spec.hostNetwork': String(valueAt(pod, ['spec', 'hostNetwork']) === true),
    'status.phase': textAt(pod, ['status', 'phase']),
    'status.podIP': textAt(pod, ['status', 'podIP']),
    'status.nominatedNodeName': textAt(pod, ['status', 'nominatedNodeName']),
  }),
  prepareCreate: withDefaults,
  validate: (pod) => [
    ...containerErrors(pod, 'containers', true),
    ...containerErrors(pod, 'initContainers', false),
    ...graceErrors(pod),
  ],
  validateUpdate: (next, current) =>
    isSameJson(fixedSpec(next['spec'], current['spec']), fixedSpec(current['spec'], current['spec']))
      ? []
      : [
          forbiddenField(
            'spec',
            'a pod keeps its spec, but for `image` of its containers, `activeDeadlineSeconds`, ' +
              '`terminationGracePeriodSeconds` and added `tolerations`',
          ),
        ],
  deletionGraceSeconds: graceOf,
};

/** A pod that nobody runs, or that has ended, needs nobody to stop it. */
function graceOf(pod: ApiObject, asked: number | undefined): number {
  const phase = textAt(pod, ['status', 'phase']);
  if (textAt(pod, ['spec', 'nodeName']) === '' || phase === 'Succeeded' || phase === 'Failed') return 0;
  const own = valueAt(pod, ['spec', 'terminationGracePeriodSeconds']);
  return Math.min(asked ?? (typeof own === 'number' ? own : DEFAULT_GRACE_SECONDS), MAX_GRACE_SECONDS);
}

function withDefaults(pod: ApiObject): ApiObject {
  const spec = isJsonObject(pod['spec']) ? pod['spec'] : {};
  const lists = ['containers', 'initContainers'].filter((field) => Array.isArray(spec[field]));
  const full: JsonObject = {
    dnsPolicy: 'ClusterFirst',
    enableServiceLinks: true,
    restartPolicy: 'Always',
    schedulerName: 'default-scheduler',
    securityContext: {},
    terminationGracePeriodSeconds: DEFAULT_GRACE_SECONDS,
    ...spec,
    ...Object.fromEntries(lists.map((field) => [field, withContainerDefaults(spec[field])])),
  };
  return { ...pod, spec: full, status: { phase: 'Pending', qosClass: qosClassOf(full) } };
}

function withContainerDefaults(containers: unknown): unknown {
  if (!Array.isArray(containers)) return containers;
  return containers.map((container: unknown) =>
    isJsonObject(container)
      ? {
          imagePullPolicy: pullPolicyOf(textAt(container, ['image'])),
          resources: {},
          terminationMessagePath: '/dev/termination-log',
          terminationMessagePolicy: 'File',
          ...container,
        }
      : container,
  );
}

/** An image without a tag, or with the tag `latest`, may change behind its name. */
function pullPolicyOf(image: string): 'Always' | 'IfNotPresent' {
  if (image.includes('@')) return 'IfNotPresent';
  const tag = /:([^/:]+)$/.exec(image)?.[1] ?? 'latest';
  return tag === 'latest' ? 'Always' : 'IfNotPresent';
}

/** Guaranteed: each container limits cpu and memory and requests the same; BestEffort: none says anything. */
function qosClassOf(spec: JsonObject): 'Guaranteed' | 'Burstable' | 'BestEffort' {
  const all = [...objectsAt(spec, ['containers']), ...objectsAt(spec, ['initContainers'])];
  const amounts = all.flatMap((container) =>
    ['cpu', 'memory'].map((name) => ({
      limit: valueAt(container, ['resources', 'limits', name]),
      request: valueAt(container, ['resources', 'requests', name]),
    })),
  );
  if (amounts.every(({ limit, request }) => limit === undefined && request === undefined)) return 'BestEffort';
  const isFixed = amounts.every(
    ({ limit, request }) => limit !== undefined && (request === undefined || isSameJson(limit, request)),
  );
  return isFixed ? 'Guaranteed' : 'Burstable';
}

function graceErrors(pod: ApiObject): FieldError[] {
  const grace = valueAt(pod, ['spec', 'terminationGracePeriodSeconds']) ?? 0;
  const isRight = Number.isInteger(grace) && Number(grace) >= 0 && Number(grace) <= MAX_GRACE_SECONDS;
  const rule = `must be an integer from 0 to ${MAX_GRACE_SECONDS}`;
  return isRight ? [] : [invalidField('spec.terminationGracePeriodSeconds', grace, rule)];
}

function containerErrors(pod: ApiObject, field: string, needsOne: boolean): FieldError[] {
  const containers = valueAt(pod, ['spec', field]) ?? [];
  if (!Array.isArray(containers)) return [invalidField(`spec.${field}`, containers, 'must be a list')];
  if (needsOne && containers.length === 0) return [requiredField(`spec.${field}`)];
  const names = new Set<string>();
  return containers.flatMap((container: unknown, at): FieldError[] => {
    const path = `spec.${field}[${at}]`;
    const name = textAt(container, ['name']);
    const errors: FieldError[] = [];
    if (name === '') errors.push(requiredField(`${path}.name`));
    else if (!isDnsLabel(name)) {
      errors.push(invalidField(`${path}.name`, name, 'must be a lowercase RFC 1123 label of at most 63 characters'));
    } else if (names.has(name)) errors.push(duplicateField(`${path}.name`, name));
    names.add(name);
    if (textAt(container, ['image']) === '') errors.push(requiredField(`${path}.image`));
    return errors;
  });
}

/** `spec` with all that may change set to what it was in `current`. */
function fixedSpec(spec: unknown, current: unknown): unknown {
  if (!isJsonObject(spec) || !isJsonObject(current)) return spec;
  const before = Array.isArray(current['tolerations']) ? (current['tolerations'] as unknown[]) : [];
  const after = Array.isArray(spec['tolerations']) ? (spec['tolerations'] as unknown[]) : [];
  const keepsTolerations = before.every((old) => after.some((one) => isSameJson(one, old)));
  return {
    ...spec,
    activeDeadlineSeconds: null,
    terminationGracePeriodSeconds: null,
    tolerations: keepsTolerations ? null : after,
    containers: withoutImages(spec['containers']),
    initContainers: withoutImages(spec['initContainers'] ?? []),
  };
}

function withoutImages(containers: unknown): unknown {
  if (!Array.isArray(containers)) return containers;
  return containers.map((container: unknown) => (isJsonObject(container) ? { ...container, image: null } : container));
}
