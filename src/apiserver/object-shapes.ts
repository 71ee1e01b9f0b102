import type { Shape } from './object-shape.ts';

/**
 * The types of the fields that somebody here or at another hop reads: tables, the way to a pod, kubelets. They are
 * checked on every write, so that no object can break its readers.
 */

const texts: Shape = { '*': 'string' };

export const metadataShape: Shape = {
  name: 'string',
  generateName: 'string',
  namespace: 'string',
  uid: 'string',
  resourceVersion: 'string',
  labels: texts,
  annotations: texts,
  finalizers: ['string'],
  ownerReferences: [{ apiVersion: 'string', kind: 'string', name: 'string', uid: 'string', controller: 'boolean' }],
};

const conditions: Shape = [
  { type: 'string', status: 'string', reason: 'string', message: 'string', lastTransitionTime: 'string' },
];

const container: Shape = {
  name: 'string',
  image: 'string',
  imagePullPolicy: 'string',
  command: ['string'],
  args: ['string'],
  workingDir: 'string',
  restartPolicy: 'string',
  stdin: 'boolean',
  stdinOnce: 'boolean',
  tty: 'boolean',
  env: [{ name: 'string', value: 'string', valueFrom: 'object' }],
  envFrom: ['object'],
  ports: [{ name: 'string', containerPort: 'number', hostPort: 'number', hostIP: 'string', protocol: 'string' }],
  volumeMounts: [{ name: 'string', mountPath: 'string', subPath: 'string', readOnly: 'boolean' }],
  resources: { limits: 'object', requests: 'object' },
  securityContext: 'object',
  livenessProbe: 'object',
  readinessProbe: 'object',
  startupProbe: 'object',
  lifecycle: 'object',
};

const containerState: Shape = {
  waiting: { reason: 'string', message: 'string' },
  running: { startedAt: 'string' },
  terminated: { exitCode: 'number', signal: 'number', reason: 'string', message: 'string', finishedAt: 'string' },
};

const containerStatuses: Shape = [
  {
    name: 'string',
    state: containerState,
    lastState: containerState,
    ready: 'boolean',
    started: 'boolean',
    restartCount: 'number',
    image: 'string',
    imageID: 'string',
    containerID: 'string',
  },
];

export const podShape: Shape = {
  spec: {
    containers: [container],
    initContainers: [container],
    ephemeralContainers: [container],
    volumes: [{ name: 'string' }],
    nodeName: 'string',
    nodeSelector: texts,
    restartPolicy: 'string',
    schedulerName: 'string',
    serviceAccountName: 'string',
    hostname: 'string',
    hostNetwork: 'boolean',
    hostPID: 'boolean',
    hostIPC: 'boolean',
    shareProcessNamespace: 'boolean',
    terminationGracePeriodSeconds: 'number',
    activeDeadlineSeconds: 'number',
    securityContext: 'object',
    tolerations: ['object'],
    readinessGates: [{ conditionType: 'string' }],
    schedulingGates: [{ name: 'string' }],
    imagePullSecrets: [{ name: 'string' }],
  },
  status: {
    phase: 'string',
    reason: 'string',
    message: 'string',
    podIP: 'string',
    hostIP: 'string',
    nominatedNodeName: 'string',
    startTime: 'string',
    podIPs: [{ ip: 'string' }],
    hostIPs: [{ ip: 'string' }],
    conditions,
    containerStatuses,
    initContainerStatuses: containerStatuses,
    ephemeralContainerStatuses: containerStatuses,
  },
};

export const nodeShape: Shape = {
  spec: {
    podCIDR: 'string',
    providerID: 'string',
    unschedulable: 'boolean',
    taints: [{ key: 'string', value: 'string', effect: 'string' }],
  },
  status: {
    addresses: [{ type: 'string', address: 'string' }],
    conditions,
    daemonEndpoints: { kubeletEndpoint: { Port: 'number' } },
    declaredFeatures: ['string'],
    nodeInfo: {
      containerRuntimeVersion: 'string',
      kernelVersion: 'string',
      kubeletVersion: 'string',
      osImage: 'string',
    },
    capacity: 'object',
    allocatable: 'object',
  },
};

export const namespaceShape: Shape = { status: { phase: 'string' } };

export const leaseShape: Shape = {
  spec: { holderIdentity: 'string', leaseDurationSeconds: 'number', renewTime: 'string', acquireTime: 'string' },
};

export const serviceAccountShape: Shape = { secrets: ['object'], imagePullSecrets: ['object'] };

export const eventShape: Shape = {
  involvedObject: {
    apiVersion: 'string',
    kind: 'string',
    namespace: 'string',
    name: 'string',
    uid: 'string',
    fieldPath: 'string',
    resourceVersion: 'string',
  },
  reason: 'string',
  message: 'string',
  type: 'string',
  count: 'number',
  source: { component: 'string', host: 'string' },
  reportingComponent: 'string',
  firstTimestamp: 'string',
  lastTimestamp: 'string',
  eventTime: 'string',
};
