import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { type ObjectServer, TOKEN } from './object-server.ts';

/** One pod's JSON here has about as many bytes as a running pod of a cluster. */
const ENVIRONMENT = Array.from({ length: 8 }, (_, at) => ({ name: `VARIABLE_${at}`, value: `value-${at}-`.repeat(4) }));

/** Writes at once while a server is filled. */
const WRITES_AT_ONCE = 32;

const WRITE_ATTEMPTS = 5;

export interface CallOptions {
  readonly method?: string;
  readonly accept?: string;
  readonly contentType?: string;
  readonly body?: object;
}

/** Speaks to one server over kept connections. Owns: those, and its watches. */
export class ObjectClient implements Disposable {
  readonly #server: ObjectServer;
  readonly #agent: Agent;

  constructor(server: ObjectServer) {
    this.#server = server;
    this.#agent = new Agent({ ca: server.ca, keepAlive: true, maxSockets: WRITES_AT_ONCE });
  }

  /** @returns the bytes of the answer @throws Error for a status of 400 or more */
  async call(path: string, options: CallOptions = {}): Promise<Buffer> {
    const response = await this.#send(path, options, this.#agent);
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    await once(response, 'end');
    const bytes = Buffer.concat(chunks);
    const { statusCode = 0 } = response;
    if (statusCode >= 400) throw new Error(`${options.method ?? 'GET'} ${path}: ${statusCode} ${bytes.toString()}`);
    return bytes;
  }

  /** A watch on a connection of its own. @param onLine called for each event, a line */
  async watch(path: string, onLine: () => void): Promise<IncomingMessage> {
    const response = await this.#send(path, {}, false);
    response.on('data', (chunk: Buffer) => {
      for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) onLine();
    });
    response.on('error', () => {});
    return response;
  }

  /** Nodes and pods as controllers and kubelets would have left them. */
  async fill(nodes: number, pods: number): Promise<void> {
    const names = Array.from({ length: nodes }, (_, at) => `node-${at}`);
    await this.#each(names, (name) => this.#create('/api/v1/nodes', nodeNamed(name)));
    const numbers = Array.from({ length: pods }, (_, at) => at);
    await this.#each(numbers, (at) => this.#create('/api/v1/namespaces/default/pods', podAt(at, names)));
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }

  async #create(path: string, object: { metadata: { name: string }; status: object }): Promise<void> {
    await this.#insist(path, { method: 'POST', body: object });
    const { status } = object;
    const contentType = 'application/merge-patch+json';
    await this.#insist(`${path}/${object.metadata.name}/status`, { method: 'PATCH', contentType, body: { status } });
  }

  /** On a busy machine a write may take longer than a server waits for its etcd. */
  async #insist(path: string, options: CallOptions): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.call(path, options);
        return;
      } catch (thrown) {
        const { message } = thrown as Error;
        if (attempt > 1 && message.includes('AlreadyExists')) return;
        if (attempt === WRITE_ATTEMPTS || !/: (?:500|503|504) /.test(message)) throw thrown;
      }
    }
  }

  async #each<T>(all: readonly T[], run: (one: T) => Promise<void>): Promise<void> {
    const rest = all[Symbol.iterator]();
    const work = async (): Promise<void> => {
      for (const one of rest) await run(one);
    };
    await Promise.all(Array.from({ length: WRITES_AT_ONCE }, work));
  }

  async #send(path: string, options: CallOptions, agent: Agent | false): Promise<IncomingMessage> {
    const { method = 'GET', accept = 'application/json', contentType = 'application/json', body } = options;
    const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const call = request(`${this.#server.url}${path}`, {
      method,
      agent,
      ca: this.#server.ca,
      headers: {
        Accept: accept,
        Authorization: `Bearer ${TOKEN}`,
        ...(bytes === undefined ? {} : { 'Content-Type': contentType, 'Content-Length': bytes.length }),
      },
    });
    call.end(bytes);
    const [response] = (await once(call, 'response')) as [IncomingMessage];
    return response;
  }
}

const TIME = '2026-11-26T00:00:00Z';

function nodeNamed(name: string): { metadata: { name: string }; status: object } {
  const reason = { lastHeartbeatTime: TIME, lastTransitionTime: TIME, reason: 'KubeletReady', message: 'ready' };
  const conditions = ['MemoryPressure', 'DiskPressure', 'PIDPressure', 'Ready'].map((type) => ({
    type,
    status: type === 'Ready' ? 'True' : 'False',
    ...reason,
  }));
  const capacity = { cpu: '8', memory: '32Gi', pods: '110' };
  const addresses = [{ type: 'InternalIP', address: '10.0.0.1' }];
  return { metadata: { name }, status: { capacity, allocatable: capacity, conditions, addresses } };
}

function podAt(at: number, nodes: readonly string[]): { metadata: { name: string }; status: object } {
  const name = `pod-${String(at).padStart(5, '0')}`;
  const ready = ['Initialized', 'Ready', 'ContainersReady', 'PodScheduled'].map((type) => ({
    type,
    status: 'True',
    lastProbeTime: null,
    lastTransitionTime: TIME,
  }));
  const ip = `10.${(at >> 16) & 255}.${(at >> 8) & 255}.${at & 255}`;
  const container = {
    name: 'main',
    image: 'registry.example/app:1.2.3',
    command: ['/bin/app', '--listen', ':8080'],
    env: ENVIRONMENT,
    ports: [{ containerPort: 8080, protocol: 'TCP' }],
    resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { memory: '256Mi' } },
    volumeMounts: [{ name: 'scratch', mountPath: '/scratch' }],
  };
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: `app-${at % 50}`, tier: 'bench' }, annotations: { note: 'x'.repeat(100) } },
    spec: {
      nodeName: nodes[at % nodes.length],
      containers: [container],
      volumes: [{ name: 'scratch', emptyDir: {} }],
      tolerations: [{ key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute' }],
    },
  };
  const containerStatuses = [
    {
      name: 'main',
      image: container.image,
      imageID: `sha256:${'a'.repeat(64)}`,
      containerID: `containerd://${'b'.repeat(64)}`,
      ready: true,
      started: true,
      restartCount: 0,
      state: { running: { startedAt: TIME } },
      lastState: {},
    },
  ];
  const status = {
    phase: 'Running',
    conditions: ready,
    podIP: ip,
    podIPs: [{ ip }],
    startTime: TIME,
    containerStatuses,
  };
  return { ...pod, status };
}
