import { readFileSync } from 'node:fs';
import { mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ExecPathError, toError } from '../common/errors.ts';

/**
 * Claims a state folder for this process. A claim whose process is gone is taken over, also when another program has
 * its process id by now: the claim (`PID START`) says when the process started, where the system tells.
 *
 * @returns gives it back
 * @throws ExecPathError ERR_STATE_IN_USE naming the process that has it; ERR_STATE_FOLDER
 */
export async function lockState(folder: string): Promise<() => Promise<void>> {
  await mkdir(folder, { recursive: true, mode: 0o700 }).catch((thrown: unknown) => {
    throw unusable(folder, toError(thrown));
  });
  const path = join(folder, 'up.pid');
  for (let attempt = 0; attempt < 3; attempt += 1) {
    try {
      const file = await open(path, 'wx', 0o600);
      await file.writeFile(`${process.pid} ${startOf(process.pid)}\n`);
      await file.close();
      return () => rm(path, { force: true });
    } catch (thrown) {
      const cause = toError(thrown) as NodeJS.ErrnoException;
      if (cause.code !== 'EEXIST') throw unusable(folder, cause);
      const [pid = '', start = ''] = (await readFile(path, 'utf8').catch(() => '')).trim().split(' ');
      const holder = Number(pid);
      if (holder > 0 && isAlive(holder) && (start === '' || start === startOf(holder))) {
        throw new ExecPathError(
          'ERR_STATE_IN_USE',
          `process ${holder} already runs with the state folder ${folder}; stop it or choose another --state-dir`,
        );
      }
      await rm(path, { force: true });
    }
  }
  throw new ExecPathError('ERR_STATE_IN_USE', `another process claims the state folder ${folder} again and again`);
}

function unusable(folder: string, cause: Error): ExecPathError {
  const message = `the state folder ${JSON.stringify(folder)} cannot be used: ${cause.message}`;
  return new ExecPathError('ERR_STATE_FOLDER', message, { cause });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/**
 * Ticks from boot to the start of a process (proc(5), stat, field 22); empty where there is no /proc, and for one that is
 * dead and that nobody has reaped.
 */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field, the program's name, may hold blanks.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? '' : (fields[19] ?? '');
  } catch {
    return '';
  }
}
