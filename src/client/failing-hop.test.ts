import { describe, expect, it } from 'vitest';
import { ExecPathError } from '../common/errors.ts';
import { hopOfMessage, startFailureCode } from './index.ts';

const CRI = 'Internal error occurred: error executing command in container: failed to exec in container: ';
const RUNC = `${CRI}failed to start exec "0f": OCI runtime exec failed: exec failed: unable to start container process: `;

/** Where each text was seen: containerd 1.6 with runc 1.1, crun, and podwire's own runtime. */
const startFailures: readonly (readonly [number | undefined, string])[] = [
  [127, `${RUNC}exec: "nope": executable file not found in $PATH: unknown`],
  [127, `${RUNC}exec: "/no/such": stat /no/such: no such file or directory: unknown`],
  [127, `${RUNC}exec: "a \\"b": stat a: not a directory: unknown`],
  [126, `${RUNC}exec: "/etc/passwd": permission denied: unknown`],
  [126, `${RUNC}exec: "/tmp": is a directory: unknown`],
  [126, `${RUNC}chdir to cwd ("/gone") set in config.json failed: no such file or directory: unknown`],
  [126, `${RUNC}exec /x: exec format error: unknown`],
  [127, 'OCI runtime exec failed: executable file `nope` not found in $PATH: No such file or directory: unknown'],
  [127, `${CRI}exec: "nope": executable file not found in $PATH`],
  [126, `${CRI}exec: "/etc/passwd": permission denied`],
  [undefined, `${CRI}OCI runtime exec failed: exec failed: cannot exec in a stopped container: unknown`],
  [undefined, 'Internal error occurred: error dialing backend: dial tcp 10.0.0.1:10250: permission denied'],
  [undefined, 'container not found ("main")'],
  [undefined, ''],
];

describe('a failure whose words come from the runtime', () => {
  it.each(startFailures)('means %s: %s', (code, message) => {
    expect(startFailureCode(new ExecPathError('ERR_REMOTE', message))).toBe(code);
  });

  it('tells nothing about a command when it was no Status', () => {
    const error = new ExecPathError('ERR_CONNECTION_LOST', `${RUNC}exec: "nope": executable file not found in $PATH`);
    expect(startFailureCode(error)).toBeUndefined();
  });
});

it('finds the hop in the words of an error', () => {
  expect(hopOfMessage('error dialing backend: connection refused')).toBe('kubelet');
  expect(hopOfMessage('pod web does not have a host assigned')).toBe('kubelet');
  expect(hopOfMessage('rpc error: code = NotFound desc = an error')).toBe('runtime');
  expect(hopOfMessage('container not found ("a")')).toBe('kubelet');
  expect(hopOfMessage('something else')).toBeUndefined();
});
