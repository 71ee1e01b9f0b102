import type { Container } from './container.ts';
import { ageOf } from './human-duration.ts';
import type { Pod } from './pod.ts';
import type { ContainerStatus } from './pod-status.ts';

/** What `kubectl get pods` says of a pod. */
export interface PodSummary {
  /** `Running`, `Completed`, `CrashLoopBackOff`, `Init:0/1`, `Terminating` … */
  readonly status: string;
  readonly readyContainers: number;
  /** Sidecars count, other init containers do not. */
  readonly totalContainers: number;
  readonly restarts: number;
  /** RFC 3339, of the last restart. */
  readonly lastRestart: string | undefined;
}

/** `3 (5m ago)` */
export function restartsText({ restarts, lastRestart }: PodSummary, now: Date): string {
  return restarts === 0 || lastRestart === undefined
    ? String(restarts)
    : `${restarts} (${ageOf(lastRestart, now)} ago)`;
}

/**
 * Sums a pod up as upstream does. While init containers run, they alone decide; then the last container with something
 * to say does; deletion beats both.
 *
 * @see kubernetes/kubernetes pkg/printers/internalversion/printers.go (printPod)
 */
export function podSummary(pod: Pod): PodSummary {
  const { spec, status = {} } = pod;
  const init = initProgress(pod);
  const isInitialized = status.conditions?.some(({ type, status }) => type === 'Initialized' && status === 'True');
  const isGated = status.conditions?.some(
    ({ type, reason }) => type === 'PodScheduled' && reason === 'SchedulingGated',
  );
  let said: Progress = init.isOver || isInitialized === true ? mainProgress(pod, init) : init;
  if (said.text === undefined) said = { ...said, text: isGated === true ? 'SchedulingGated' : phaseText(pod) };
  return {
    status: deletionText(pod) ?? said.text ?? '',
    readyContainers: said.ready,
    totalContainers: spec.containers.length + (spec.initContainers ?? []).filter(isSidecar).length,
    restarts: said.restarts,
    lastRestart: said.lastRestart,
  };
}

interface Progress {
  /** undefined: nothing to say beyond the phase. */
  readonly text: string | undefined;
  readonly ready: number;
  readonly restarts: number;
  readonly lastRestart: string | undefined;
}

interface InitProgress extends Progress {
  readonly isOver: boolean;
  readonly sidecars: Pick<Progress, 'restarts' | 'lastRestart'>;
}

function phaseText({ status }: Pod): string {
  return status?.reason || status?.phase || '';
}

function deletionText({ metadata, status }: Pod): string | undefined {
  if (metadata.deletionTimestamp === undefined || metadata.deletionTimestamp === null) return undefined;
  if (status?.reason === 'NodeLost') return 'Unknown';
  return status?.phase === 'Succeeded' || status?.phase === 'Failed' ? undefined : 'Terminating';
}

function isSidecar(container: Container): boolean {
  return container.restartPolicy === 'Always';
}

/** Init containers in order, up to the first that is not done. */
function initProgress({ spec, status }: Pod): InitProgress {
  const specs = spec.initContainers ?? [];
  const sidecarNames = new Set(specs.filter(isSidecar).map(({ name }) => name));
  const all = new Tally();
  const sidecars = new Tally();
  let ready = 0;
  for (const [index, container] of (status?.initContainerStatuses ?? []).entries()) {
    const sidecar = sidecarNames.has(container.name);
    all.add(container);
    if (sidecar) sidecars.add(container);
    if (container.state?.terminated?.exitCode === 0) continue;
    if (sidecar && container.started === true) {
      if (container.ready) ready += 1;
      continue;
    }
    return {
      text: initText(container, index, specs.length),
      ready,
      ...all.total,
      sidecars: sidecars.total,
      isOver: false,
    };
  }
  return { text: undefined, ready, ...all.total, sidecars: sidecars.total, isOver: true };
}

function initText({ state }: ContainerStatus, index: number, count: number): string {
  const { terminated, waiting } = state ?? {};
  if (terminated !== undefined) return `Init:${terminated.reason || exitText(terminated)}`;
  const reason = waiting?.reason ?? '';
  return reason !== '' && reason !== 'PodInitializing' ? `Init:${reason}` : `Init:${index}/${count}`;
}

function exitText({ exitCode, signal = 0 }: { exitCode: number; signal?: number }): string {
  return signal === 0 ? `ExitCode:${exitCode}` : `Signal:${signal}`;
}

/** The first container that waits or ended has the last word; restarts of plain init containers are forgotten. */
function mainProgress({ status }: Pod, init: InitProgress): Progress {
  const tally = new Tally(init.sidecars);
  let { text, ready } = init;
  let hasRunning = false;
  for (const container of (status?.containerStatuses ?? []).toReversed()) {
    tally.add(container);
    const { waiting, terminated, running } = container.state ?? {};
    if (waiting !== undefined && (waiting.reason ?? '') !== '') text = waiting.reason;
    else if (terminated !== undefined) text = terminated.reason || exitText(terminated);
    else if (container.ready && running !== undefined) {
      hasRunning = true;
      ready += 1;
    }
  }
  if (hasRunning && (text ?? status?.reason ?? '') === 'Completed') {
    const isReady = status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True');
    text = isReady === true ? 'Running' : 'NotReady';
  }
  return { text, ready, ...tally.total };
}

/** Adds up restarts and remembers the latest. */
class Tally {
  #restarts: number;
  #lastRestart: string | undefined;

  constructor(start: Pick<Progress, 'restarts' | 'lastRestart'> = { restarts: 0, lastRestart: undefined }) {
    this.#restarts = start.restarts;
    this.#lastRestart = start.lastRestart;
  }

  add({ restartCount, lastState }: ContainerStatus): void {
    this.#restarts += restartCount;
    const finishedAt = lastState?.terminated?.finishedAt ?? undefined;
    if (finishedAt !== undefined && !(Date.parse(finishedAt) <= Date.parse(this.#lastRestart ?? ''))) {
      this.#lastRestart = finishedAt;
    }
  }

  get total(): Pick<Progress, 'restarts' | 'lastRestart'> {
    return { restarts: this.#restarts, lastRestart: this.#lastRestart };
  }
}
