import { randomUUID } from 'node:crypto';
import { arch, platform } from 'node:process';
import { chooseContainer, findPod } from './container-choice.ts';
import type { AttachOptions, ExecOptions } from './exec-options.ts';
import type { ExecRequest } from './exec-request.ts';
import { type ExecSession, startSession } from './exec-session.ts';
import { openSession } from './open-session.ts';
import { openServer } from './server.ts';

/**
 * Runs a command in a container.
 *
 * Resolves when the streams are open; from then on `completed` tells everything. Rejects when it does not come so far:
 * the kubeconfig, the pod, the way there, permission. Whether a command had begun is then known only for errors that
 * came before the upgrade.
 *
 * @example
 * const session = await exec({ pod: 'web', command: ['id'] });
 * session.stdout?.pipe(process.stdout);
 * session.stderr?.pipe(process.stderr);
 * const outcome = await session.completed;
 *
 * @throws ApiStatusError what a server refused; UpgradeError an answer without a Status
 * @throws ExecPathError ERR_KUBECONFIG, ERR_CREDENTIALS, ERR_CERTIFICATE, ERR_DIAL, ERR_DIAL_TIMEOUT, ERR_ABORTED,
 *   ERR_BAD_REQUEST, ERR_STREAM_TIMEOUT, ERR_STREAM_REFUSED; each with its `hop`
 */
export async function exec(options: ExecOptions): Promise<ExecSession> {
  return startIn(options, { subresource: 'exec', command: options.command });
}

/**
 * Joins the command that a container runs by itself: its output from now on, its stdin if it has one, and its terminal,
 * which `tty` must be as the container's. As exec, but for the outcome: `exited` says that the command ended, and not how;
 * the pod's status tells its code.
 */
export async function attach(options: AttachOptions): Promise<ExecSession> {
  return startIn(options, { subresource: 'attach', command: [] });
}

async function startIn(
  options: AttachOptions,
  what: Required<Pick<ExecRequest, 'subresource' | 'command'>>,
): Promise<ExecSession> {
  const { pod, signal, size } = options;
  const api = await openServer(options);
  const namespace = options.namespace ?? api.namespace;
  let container = options.container ?? '';
  if (container === '') {
    const choice = chooseContainer(await findPod(api, { namespace, pod }, { signal }));
    container = choice.container;
    if (choice.notice !== undefined) options.onNotice?.(choice.notice);
  }
  const { stdin = false, stdout = true, stderr = true, tty = false } = options;
  const sessionId = options.sessionId ?? randomUUID();
  const set = await openSession(
    api,
    { ...what, namespace, pod, container, stdin, stdout, stderr, tty },
    {
      transport: options.transport ?? 'auto',
      sessionId,
      userAgent: options.userAgent ?? `podwire (${platform}/${arch})`,
      signal,
      dialTimeoutMs: options.dialTimeoutMs,
      upgradeTimeoutMs: options.upgradeTimeoutMs,
      pingIntervalMs: options.pingIntervalMs,
      streamTimeoutMs: options.streamTimeoutMs,
      keepaliveTimeoutMs: options.keepaliveTimeoutMs,
      idleTimeoutMs: options.idleTimeoutMs,
    },
  );
  const { outputEndTimeoutMs } = options;
  return startSession(set, { api, sessionId, container, size: tty ? size : undefined, signal, outputEndTimeoutMs });
}
