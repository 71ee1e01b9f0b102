import { isJsonObject, type JsonObject } from '../common/json-object.ts';
import { type ApiObject, objectsAt, textAt, valueAt } from './api-object.ts';

/** Upstream's default for `spec.terminationGracePeriodSeconds`. */
export const DEFAULT_GRACE_SECONDS = 30;

/** How long a token lives that does not say. */
const DEFAULT_TOKEN_SECONDS = 3600;

const containerLists = ['containers', 'initContainers', 'ephemeralContainers'];

/**
 * Fills in what a pod's spec leaves open, as upstream does whenever it reads one.
 *
 * @see kubernetes pkg/apis/core/v1/defaults.go
 */
export function withPodDefaults(pod: ApiObject): ApiObject {
  const spec = isJsonObject(pod['spec']) ? pod['spec'] : {};
  const lists = containerLists.filter((field) => Array.isArray(spec[field]));
  const full: JsonObject = {
    dnsPolicy: 'ClusterFirst',
    enableServiceLinks: true,
    restartPolicy: 'Always',
    schedulerName: 'default-scheduler',
    securityContext: {},
    terminationGracePeriodSeconds: DEFAULT_GRACE_SECONDS,
    ...withoutEmptyTexts(spec),
    ...(Array.isArray(spec['volumes']) ? { volumes: objectsAt(spec, ['volumes']).map(withVolumeDefaults) } : {}),
    ...Object.fromEntries(
      lists.map((field) => [field, objectsAt(spec, [field]).map((one) => withContainerDefaults(one, spec))]),
    ),
  };
  return { ...pod, spec: full };
}

/** In Go an empty text is none, so a default takes its place. */
function withoutEmptyTexts(object: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== ''));
}

function withContainerDefaults(container: JsonObject, spec: JsonObject): JsonObject {
  const { env, ports, lifecycle, resources = {} } = container;
  const filled = Object.fromEntries(
    ['livenessProbe', 'readinessProbe', 'startupProbe']
      .filter((field) => isJsonObject(container[field]))
      .map((field) => [field, withProbeDefaults(container[field] as JsonObject)]),
  );
  return {
    imagePullPolicy: pullPolicyOf(textAt(container, ['image'])),
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
    ...withoutEmptyTexts(container),
    // These are read as texts, also when they are empty.
    ...Object.fromEntries(['name', 'image'].filter((field) => container[field] === '').map((field) => [field, ''])),
    ...filled,
    ...(isJsonObject(lifecycle) ? { lifecycle: withLifecycleDefaults(lifecycle) } : {}),
    ...(Array.isArray(env) ? { env: objectsAt(container, ['env']).map(withFieldVersion) } : {}),
    ...(Array.isArray(ports)
      ? { ports: objectsAt(container, ['ports']).map((port) => withPortDefaults(port, spec['hostNetwork'] === true)) }
      : {}),
    resources: withRequests(resources as JsonObject),
  };
}

/** An image without a tag, or with the tag `latest`, may change behind its name. */
function pullPolicyOf(image: string): 'Always' | 'IfNotPresent' {
  if (image.includes('@')) return 'IfNotPresent';
  const tag = /:([^/:]+)$/.exec(image)?.[1] ?? 'latest';
  return tag === 'latest' ? 'Always' : 'IfNotPresent';
}

function withProbeDefaults(probe: JsonObject): JsonObject {
  const defaults = { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 };
  const given = Object.fromEntries(Object.entries(probe).filter(([key, value]) => value !== 0 || !(key in defaults)));
  return { ...defaults, ...withHttpDefaults(given) };
}

/** A port that is an empty name stays: it is wrong. */
function withHttpDefaults(handler: JsonObject): JsonObject {
  const { httpGet } = handler;
  if (!isJsonObject(httpGet)) return handler;
  const { port } = httpGet;
  const given = { ...withoutEmptyTexts(httpGet), ...(port === undefined ? {} : { port }) };
  return { ...handler, httpGet: { path: '/', scheme: 'HTTP', ...given } };
}

function withLifecycleDefaults(lifecycle: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(lifecycle).map(([moment, handler]) => [
      moment,
      isJsonObject(handler) ? withHttpDefaults(handler) : handler,
    ]),
  );
}

function withFieldVersion(variable: JsonObject): JsonObject {
  const fieldRef = valueAt(variable, ['valueFrom', 'fieldRef']);
  if (!isJsonObject(fieldRef)) return variable;
  const valueFrom = variable['valueFrom'] as JsonObject;
  return { ...variable, valueFrom: { ...valueFrom, fieldRef: { apiVersion: 'v1', ...fieldRef } } };
}

function withPortDefaults(port: JsonObject, onHost: boolean): JsonObject {
  const { hostPort = 0, containerPort } = port;
  return {
    protocol: 'TCP',
    ...withoutEmptyTexts(port),
    ...(onHost && hostPort === 0 && containerPort !== undefined ? { hostPort: containerPort } : {}),
  };
}

/** What is limited and not asked for is asked for up to the limit. */
function withRequests(resources: JsonObject): JsonObject {
  const { limits, requests } = resources;
  if (!isJsonObject(limits)) return resources;
  return { ...resources, requests: { ...limits, ...(isJsonObject(requests) ? requests : {}) } };
}

function withVolumeDefaults(volume: JsonObject): JsonObject {
  const { hostPath } = volume;
  if (isJsonObject(hostPath)) return { ...volume, hostPath: { type: '', ...hostPath } };
  const [kind] = Object.keys(volume).filter((field) => field !== 'name');
  // Upstream's oldest rule: a volume that says nothing is an empty folder.
  if (kind === undefined) return { ...volume, emptyDir: {} };
  if (!['secret', 'configMap', 'downwardAPI', 'projected'].includes(kind)) return volume;
  const source = { defaultMode: 0o644, ...(volume[kind] as JsonObject) } as JsonObject;
  const { sources } = source;
  return {
    ...volume,
    [kind]: {
      ...source,
      ...(kind === 'downwardAPI' ? withItemVersions(source) : {}),
      ...(Array.isArray(sources) ? { sources: objectsAt(source, ['sources']).map(withProjectionDefaults) } : {}),
    },
  };
}

function withProjectionDefaults(source: JsonObject): JsonObject {
  const { serviceAccountToken, downwardAPI } = source;
  return {
    ...source,
    ...(isJsonObject(serviceAccountToken)
      ? { serviceAccountToken: { expirationSeconds: DEFAULT_TOKEN_SECONDS, ...serviceAccountToken } }
      : {}),
    ...(isJsonObject(downwardAPI) ? { downwardAPI: withItemVersions(downwardAPI) } : {}),
  };
}

function withItemVersions(source: JsonObject): JsonObject {
  const { items } = source;
  if (!Array.isArray(items)) return source;
  return {
    ...source,
    items: objectsAt(source, ['items']).map((item) =>
      isJsonObject(item['fieldRef']) ? { ...item, fieldRef: { apiVersion: 'v1', ...item['fieldRef'] } } : item,
    ),
  };
}
