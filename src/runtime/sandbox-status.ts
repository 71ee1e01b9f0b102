import { NamespaceMode, PodSandboxState } from '../cri/index.ts';
import type { Sandbox } from './sandbox.ts';

/** READY until it is stopped, and never again. */
export function sandboxStateOf(sandbox: Sandbox): PodSandboxState {
  return sandbox.isReady ? PodSandboxState.SANDBOX_READY : PodSandboxState.SANDBOX_NOTREADY;
}

/** What `verbose` adds. */
export function sandboxInfo(sandbox: Sandbox): Record<string, string> {
  const { pod, runtimeHandler } = sandbox;
  const isMade = pod?.isMade === true;
  const network = pod === undefined || pod.isHostNetwork || !isMade ? 'host' : 'cni';
  return { info: JSON.stringify({ isolation: isMade ? 'namespaces' : 'none', network, runtimeHandler }) };
}

/** One item of ListPodSandbox. */
export function sandboxEntry(sandbox: Sandbox) {
  const { id, createdAt, runtimeHandler, config } = sandbox;
  const { labels, annotations, metadata } = config;
  return {
    id,
    createdAt,
    runtimeHandler,
    labels,
    annotations,
    state: sandboxStateOf(sandbox),
    ...(metadata && { metadata }),
  };
}

/** Without walls all pods share the host's network; one that asked for it has no address of its own to report. */
function networkOf({ pod, isReady }: Sandbox, isHostNetwork: boolean) {
  if (isHostNetwork || !isReady) return { ip: '' };
  if (pod === undefined || pod.isHostNetwork || !pod.isMade) return { ip: '127.0.0.1' };
  const [ip = '', ...more] = pod.addresses;
  return { ip, additionalIps: more.map((address) => ({ ip: address })) };
}

/** The answer to PodSandboxStatus. */
export function sandboxStatus(sandbox: Sandbox) {
  const options = sandbox.config.linux?.securityContext?.namespaceOptions;
  const isHostNetwork = options?.network === NamespaceMode.NODE;
  return {
    ...sandboxEntry(sandbox),
    network: networkOf(sandbox, isHostNetwork),
    linux: { namespaces: options === undefined ? {} : { options } },
  };
}
