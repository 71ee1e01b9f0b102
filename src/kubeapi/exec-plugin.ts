import { type ChildProcess, spawn } from 'node:child_process';
import type { Writable } from 'node:stream';
import { ExecPathError, toError } from '../common/errors.ts';
import { type ExecCredential, parseExecCredential } from './exec-credential.ts';

export const execPluginVersions = ['client.authentication.k8s.io/v1', 'client.authentication.k8s.io/v1beta1'] as const;
export const interactiveModes = ['Never', 'IfAvailable', 'Always'] as const;
export type InteractiveMode = (typeof interactiveModes)[number];

/** `users[].user.exec`, validated. */
export interface ExecPluginConfig {
  /** A path, or a name that PATH finds. */
  readonly command: string;
  readonly args: readonly string[];
  /** Added to the environment of this process. */
  readonly env: Readonly<Record<string, string>>;
  readonly apiVersion: (typeof execPluginVersions)[number];
  readonly interactiveMode: InteractiveMode;
  readonly installHint: string | undefined;
  readonly provideClusterInfo: boolean;
}

/** `spec.cluster` of the plugin's input. */
export interface ExecClusterInfo {
  readonly server: string;
  readonly 'tls-server-name'?: string;
  readonly 'insecure-skip-tls-verify'?: boolean;
  /** base64 of PEM */
  readonly 'certificate-authority-data'?: string;
  readonly 'proxy-url'?: string;
  readonly 'disable-compression'?: boolean;
  readonly config?: unknown;
}

/** What the process that runs a plugin lends to it. */
export interface ExecPluginSurroundings {
  /** Default `process.env`. */
  readonly env?: NodeJS.ProcessEnv;
  /** Standard input is a terminal that nothing else reads. Default false. */
  readonly terminal?: boolean;
  /** Where the plugin's standard error goes as it comes. Its last 4 KiB are in the error anyway. */
  readonly stderr?: Writable;
  /** Default 5 minutes: a person may have to log in. */
  readonly timeoutMs?: number;
}

export const EXEC_PLUGIN_TIMEOUT_MS = 300_000;
const KILL_GRACE_MS = 2000;
const MAX_STDOUT_BYTES = 1024 * 1024;
const MAX_STDERR_CHARS = 4096;

/**
 * Runs a credential plugin once.
 *
 * @throws ExecPathError ERR_CREDENTIALS naming the command, its exit code and its last words, with the install hint
 *   when it is missing
 * @see KEP-541; client-go plugin/pkg/client/auth/exec/exec.go
 */
export async function runExecPlugin(
  config: ExecPluginConfig,
  cluster: () => Promise<ExecClusterInfo>,
  surroundings: ExecPluginSurroundings = {},
): Promise<ExecCredential> {
  const interactive = config.interactiveMode !== 'Never' && surroundings.terminal === true;
  if (config.interactiveMode === 'Always' && !interactive) {
    throw fault(config, 'wants a terminal (interactiveMode Always), and standard input is none or is used otherwise');
  }
  const spec = { interactive, ...(config.provideClusterInfo ? { cluster: await cluster() } : {}) };
  const info = JSON.stringify({ kind: 'ExecCredential', apiVersion: config.apiVersion, spec });
  const child = spawn(config.command, config.args, {
    env: { ...(surroundings.env ?? process.env), ...config.env, KUBERNETES_EXEC_INFO: info },
    stdio: [interactive ? 'inherit' : 'ignore', 'pipe', interactive && !surroundings.stderr ? 'inherit' : 'pipe'],
  });
  const stdout = await collect(child, config, surroundings);
  try {
    return parseExecCredential(stdout, config.apiVersion);
  } catch (cause) {
    throw fault(config, toError(cause).message, cause);
  }
}

/** Resolves with standard output once the plugin ended with 0. Owns: the child and its deadline. */
function collect(
  child: ChildProcess,
  config: ExecPluginConfig,
  { stderr, timeoutMs = EXEC_PLUGIN_TIMEOUT_MS }: ExecPluginSurroundings,
): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  let lastWords = '';
  let reason: string | undefined;
  const stop = (why: string): void => {
    if (reason !== undefined) return;
    reason = why;
    child.kill('SIGTERM');
    setTimeout(() => child.kill('SIGKILL'), KILL_GRACE_MS).unref();
    // A grandchild may hold the pipes open after the plugin is gone; nobody waits for it.
    child.stdout?.destroy();
    child.stderr?.destroy();
  };
  child.stdout?.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > MAX_STDOUT_BYTES) stop(`printed more than ${MAX_STDOUT_BYTES} bytes`);
    else chunks.push(chunk);
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    lastWords = (lastWords + chunk.toString('utf8')).slice(-MAX_STDERR_CHARS);
    stderr?.write(chunk);
  });
  const deadline = setTimeout(() => stop(`did not answer within ${timeoutMs} ms`), timeoutMs).unref();
  return new Promise<string>((resolve, reject) => {
    child.once('error', (cause) => reject(notStarted(config, cause)));
    child.once('close', (code, signal) => {
      const said = lastWords.trim() === '' ? '' : `: ${lastWords.trim()}`;
      if (reason !== undefined) reject(fault(config, reason + said));
      else if (code !== 0) reject(fault(config, `ended with ${signal ?? `exit code ${code}`}${said}`));
      else resolve(Buffer.concat(chunks).toString('utf8'));
    });
  }).finally(() => clearTimeout(deadline));
}

function notStarted(config: ExecPluginConfig, cause: Error): ExecPathError {
  const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
  const hint = missing && config.installHint !== undefined ? `\n${config.installHint}` : '';
  return fault(config, `${missing ? 'is not installed' : `cannot be started: ${cause.message}`}${hint}`, cause);
}

function fault(config: ExecPluginConfig, what: string, cause?: unknown): ExecPathError {
  return new ExecPathError('ERR_CREDENTIALS', `credential plugin ${JSON.stringify(config.command)} ${what}`, {
    cause,
    hop: 'client',
  });
}
