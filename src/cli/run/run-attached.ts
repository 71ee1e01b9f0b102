import { setTimeout as wait } from 'node:timers/promises';
import { ApiStatusError, type Pod, pods, resourcePath } from '../../kubeapi/index.ts';
import { PATH_FAILURE_CODE } from '../exit-code.ts';
import { failureText } from '../failure-text.ts';
import type { Io } from '../io.ts';
import { logSourcesOf } from '../logs/log-sources.ts';
import { NO_TERMINAL } from '../run-session.ts';
import { timeoutSignal } from '../timeout-signal.ts';
import type { ClusterCall, InterruptibleCall } from '../with-client.ts';
import { writeAnswer } from '../write-answer.ts';
import { attachToPod } from './attach-to-pod.ts';
import { hasEnded, isReady, podUntil, reasonOfWaiting } from './follow-pod.ts';

export interface AttachedRunOptions {
  readonly stdin: boolean;
  readonly tty: boolean;
  readonly leaveStdinOpen: boolean;
  /** The pod goes when the run is over, however that came. */
  readonly removes: boolean;
  /** Only the output of the pod. */
  readonly quiet: boolean;
  /** How long the pod may take to run, and again to end after its command has, in ms. */
  readonly podRunningTimeoutMs: number;
}

/** How long a run that is over waits for the server to take the deletion of its pod, in ms. */
const REMOVE_TIMEOUT_MS = 10_000;
const REMOVE_PAUSE_MS = 500;

/**
 * Creates a pod, joins its container and deletes the pod again when that is asked for: also after a signal and after the
 * connection was lost.
 *
 * @param create makes the pod. It is not broken off by a signal: nobody would know whether there is one to delete.
 * @returns the exit code: the container's where it does not start again, 125 when the path failed
 */
export async function runAttached(
  create: () => Promise<Pod>,
  options: AttachedRunOptions,
  call: InterruptibleCall,
  io: Io,
): Promise<number> {
  const { interruption } = call;
  let made: Pod | undefined;
  let code: number;
  try {
    made = await create();
    code = await new AttachedRun(made, options, call, io).run();
  } catch (thrown) {
    if (interruption.exitCode === undefined) {
      io.err.write(failureText(thrown, { namespace: call.namespace, hop: 'apiserver' }));
    }
    code = PATH_FAILURE_CODE;
  }
  if (made !== undefined && options.removes)
    code = (await remove(made, options, call, io)) ? code : code || PATH_FAILURE_CODE;
  return interruption.exitCode ?? code;
}

class AttachedRun {
  readonly #pod: Pod;
  readonly #options: AttachedRunOptions;
  readonly #call: InterruptibleCall;
  readonly #io: Io;
  #isSilent = false;

  constructor(pod: Pod, options: AttachedRunOptions, call: InterruptibleCall, io: Io) {
    this.#pod = pod;
    this.#options = options;
    this.#call = call;
    this.#io = io;
  }

  /** @returns the exit code */
  async run(): Promise<number> {
    const running = await this.#podInTime((pod) => hasEnded(pod) || isReady(pod));
    if (running === undefined) return PATH_FAILURE_CODE;
    const { container = '' } = logSourcesOf(running, { container: undefined, allContainers: false }, this.#io)[0] ?? {};
    if (hasEnded(running)) {
      await this.#showLog(container, false);
      return this.#codeOf(running, container);
    }
    const failed = await this.#attach(running, container);
    if (failed !== undefined) return failed;
    if (this.#options.leaveStdinOpen || running.spec.restartPolicy === 'Always') return 0;
    // What it wrote before it was joined did not come: a short command is over by then.
    if (this.#isSilent) await this.#showLog(container, false);
    const isOver =
      running.spec.restartPolicy === 'Never' ? hasEnded : ({ status }: Pod) => status?.phase === 'Succeeded';
    const ended = await this.#podInTime(isOver);
    return ended === undefined ? PATH_FAILURE_CODE : this.#codeOf(ended, container);
  }

  /** @returns undefined when the session is over, else the exit code */
  async #attach(pod: Pod, container: string): Promise<number | undefined> {
    const { stdin, tty: wanted, quiet } = this.#options;
    const { client, namespace, signal, interruption } = this.#call;
    const { name } = pod.metadata;
    const tty = pod.spec.containers.find((one) => one.name === container)?.tty === true;
    if (wanted && !tty && !quiet) {
      this.#io.err.write(`error: Unable to use a TTY - container ${container} did not allocate one\n`);
    } else if (tty && stdin && !this.#io.inIsTerminal) this.#io.err.write(NO_TERMINAL);
    if (!quiet) this.#io.err.write("If you don't see a command prompt, try pressing enter.\n");
    const attached = await attachToPod(
      { api: client.transport, namespace, pod: name, container, stdin, tty, signal },
      this.#io,
    );
    if (interruption.exitCode !== undefined) return interruption.exitCode;
    if ('refused' in attached) {
      const why = attached.refused.message;
      this.#io.err.write(`warning: couldn't attach to pod/${name}, falling back to streaming logs: ${why}\n`);
      await this.#showLog(container, true);
      return undefined;
    }
    const { outcome, sessionId } = attached;
    this.#isSilent = attached.isSilent;
    if (outcome.kind === 'failed') {
      const words = { namespace, pod: name, container, sessionId, hop: outcome.hop };
      this.#io.err.write(failureText(outcome.error, words));
      return PATH_FAILURE_CODE;
    }
    if (
      stdin &&
      tty &&
      this.#io.inIsTerminal &&
      !quiet &&
      !this.#options.removes &&
      pod.spec.restartPolicy === 'Always'
    ) {
      const resume = `kubectl attach ${name} -c ${container} -i -t`;
      this.#io.out.write(`Session ended, resume using '${resume}' command when the pod is running\n`);
    }
    return undefined;
  }

  async #showLog(container: string, follow: boolean): Promise<void> {
    const { client, namespace, signal } = this.#call;
    const path = `${resourcePath(pods, { namespace, name: this.#pod.metadata.name })}/log`;
    const query = { container, follow: follow || undefined };
    await writeAnswer(await client.stream('GET', path, { signal, query }), this.#io);
  }

  /** @returns undefined when the time is over, which has been told, or a signal came */
  async #podInTime(isDone: (pod: Pod) => boolean): Promise<Pod | undefined> {
    const { signal } = this.#call;
    const { podRunningTimeoutMs } = this.#options;
    const time = timeoutSignal(podRunningTimeoutMs);
    let last = this.#pod;
    let failure: Error | undefined;
    const look = (pod: Pod): boolean => {
      last = pod;
      failure = undefined;
      return isDone(pod);
    };
    const onError = (error: Error): void => {
      failure = error;
    };
    const limit = { ...this.#call, signal: AbortSignal.any([signal, time]), onError };
    const found = await podUntil(this.#pod, look, limit);
    if (found !== undefined || signal.aborted) return found;
    const why = failure?.message ?? reasonOfWaiting(last);
    this.#io.err.write(
      `error: timed out waiting for the condition\n${why === undefined ? '' : `  where:   pod ${last.metadata.name}, ${why}\n`}` +
        '  remedy:  --pod-running-timeout allows it more time\n',
    );
    return undefined;
  }

  #codeOf({ metadata, status }: Pod, container: string): number {
    if (status?.phase === 'Succeeded') return 0;
    const place = `${metadata.namespace}/${metadata.name}`;
    const ended = status?.containerStatuses?.find(({ name }) => name === container)?.state?.terminated;
    if (ended === undefined || ended.exitCode === 0) {
      this.#io.err.write(`error: pod ${place} failed with unknown exit code\n`);
      return PATH_FAILURE_CODE;
    }
    const { reason = '', message = '', exitCode } = ended;
    this.#io.err.write(`pod ${place} terminated (${reason})\n${message === '' ? '' : `${message.trimEnd()}\n`}`);
    return exitCode;
  }
}

/** Deletes the pod that was made, and no other of its name. @returns whether it is going or gone */
async function remove(
  pod: Pod,
  { quiet }: AttachedRunOptions,
  { client, namespace }: ClusterCall,
  io: Io,
): Promise<boolean> {
  const { name, uid = '' } = pod.metadata;
  // Without the command's signal: a run that was interrupted takes its pod away too.
  const signal = AbortSignal.timeout(REMOVE_TIMEOUT_MS);
  const how = { namespace, propagationPolicy: 'Background', preconditions: { uid }, signal } as const;
  for (;;) {
    try {
      await client.delete(pods, name, how);
      if (!quiet) io.out.write(`pod ${JSON.stringify(name)} deleted\n`);
      return true;
    } catch (thrown) {
      // Another pod of the name has another uid: ours is gone.
      if (thrown instanceof ApiStatusError && [404, 409].includes(thrown.httpStatus)) return true;
      const isOver = thrown instanceof ApiStatusError || signal.aborted;
      if (isOver || !(await pause(signal))) {
        io.err.write(
          failureText(thrown, { namespace, remedy: `delete the pod: podwire delete pod ${name} -n ${namespace}` }),
        );
        return false;
      }
    }
  }
}

/** Between two attempts at a server that could not be reached. @returns false when the time is over */
function pause(signal: AbortSignal): Promise<boolean> {
  return wait(REMOVE_PAUSE_MS, true, { signal }).catch(() => false);
}
