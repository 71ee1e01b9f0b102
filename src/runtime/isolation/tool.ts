import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { ExecPathError } from '../../common/errors.ts';
import { SESSION_VARIABLE, toolMarker } from '../process/index.ts';

/** Where the host's own tools are; the PATH of a container is never used for them. */
export const TOOL_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** A mount or a network plugin takes milliseconds; one that takes longer than this, in ms, is stuck. */
const TOOL_TIMEOUT_MS = 30_000;
/** Of one output; what they say fits in a page. */
const MAX_OUTPUT_BYTES = 1024 * 1024;

export interface ToolOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * Runs a tool of the host to its end, with nothing of our environment. One that outlives us bears our mark.
 *
 * @returns its stdout
 * @throws ExecPathError ERR_ISOLATION with what it wrote
 */
export async function runTool(argv: readonly string[], options: ToolOptions = {}): Promise<string> {
  const [name = '', ...args] = argv;
  const env = { PATH: TOOL_PATH, [SESSION_VARIABLE]: toolMarker(), ...options.env };
  const limits = { env, timeout: TOOL_TIMEOUT_MS, maxBuffer: MAX_OUTPUT_BYTES, killSignal: 'SIGKILL' } as const;
  return new Promise<string>((resolve, reject) => {
    const child = execFile(toolPath(name) ?? name, args, limits, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      const said = `${stderr}${stdout}`.trim() || error.message;
      reject(new ExecPathError('ERR_ISOLATION', `${name} failed: ${said}`, { cause: error, hop: 'runtime' }));
    });
    // A tool that does not read its input is no failure of ours.
    child.stdin?.on('error', () => {});
    child.stdin?.end(options.input ?? '');
  });
}

/** Absolute path of a tool, or undefined. */
export function toolPath(name: string): string | undefined {
  if (name.includes('/')) return name;
  return TOOL_PATH.split(':')
    .map((directory) => `${directory}/${name}`)
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}
