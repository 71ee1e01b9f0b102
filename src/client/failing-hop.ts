import { type ExecPathError, type Hop, UpgradeError } from '../common/errors.ts';
import { failed, type Outcome } from '../common/outcome.ts';
import { ApiStatusError, apiErrorOf, type Transport } from '../kubeapi/index.ts';

/** What a hop writes into its errors, by which the one that failed is told. Checked in this order. */
const traces: readonly (readonly [pattern: RegExp, hop: Hop])[] = [
  [/error dialing backend|does not have a host assigned|no preferred addresses/i, 'kubelet'],
  [/OCI runtime|rpc error: code =|failed to exec in container|container runtime|exec failed:/i, 'runtime'],
  [/container not found \("|pod does not exist|containers? .* not found in pod/i, 'kubelet'],
];

/** The hop whose failure `message` reports, when its words give it away. */
export function hopOfMessage(message: string): Hop | undefined {
  return traces.find(([pattern]) => pattern.test(message))?.[1];
}

/**
 * The error of an upgrade that was not answered with its 101: the answer's Status, else its text, each with the hop
 * that gave it. An apiserver says what it means by a Status, so a plain text that it passes on is the kubelet's.
 */
export function errorOfRefusal(thrown: unknown, api: Transport): unknown {
  if (!(thrown instanceof UpgradeError)) return thrown;
  const { httpStatus, body, headers } = thrown;
  if (httpStatus < 200) return located(thrown, api.hop);
  const request = `the upgrade at ${api.server.host}`;
  const decoded = apiErrorOf({ request, httpStatus, body }, { hop: api.hop });
  if (decoded.reason !== undefined) {
    const hop = hopOfMessage(decoded.message) ?? api.hop;
    return new ApiStatusError(decoded.status, httpStatus, { cause: thrown, hop });
  }
  const passedOn = api.hop === 'apiserver' && httpStatus >= 400 && body.trim() !== '';
  const hop = hopOfMessage(body) ?? (passedOn ? 'kubelet' : api.hop);
  const [, location] = headers.find(([name]) => name.toLowerCase() === 'location') ?? [];
  const redirect = location === undefined ? '' : ` to ${JSON.stringify(location)}; redirects are never followed`;
  const message = `${thrown.message} (HTTP ${httpStatus}${redirect})`;
  return new UpgradeError(decoded.code === 'ERR_API_STATUS' ? thrown.code : decoded.code, message, thrown, {
    cause: thrown,
    hop,
  });
}

/** `error` with the hop where it failed, when it does not say so itself. */
function located(error: UpgradeError, hop: Hop): UpgradeError {
  return error.hop === undefined
    ? new UpgradeError(error.code, error.message, error, { cause: error.cause, hop })
    : error;
}

/** The outcome with the hop where the session failed, as far as this side can tell. */
export function locateOutcome(outcome: Outcome, api: Transport): Outcome {
  if (outcome.kind === 'exited' || outcome.hop !== undefined) return outcome;
  const { error, code } = outcome;
  if (code === 'ERR_ABORTED') return failed(error, 'client');
  // A Status came through: the hop that we talk to is well, and only its words tell who failed.
  return failed(error, code === 'ERR_REMOTE' ? hopOfMessage(error.message) : api.hop);
}

/**
 * Where and why a command could not be started, told by the words of the runtime: 127 there is no such program, 126
 * there is one and it cannot be run. Undefined for any other failure, which is one of the path.
 *
 * The words are runc's and crun's behind containerd and CRI-O, and those of podwire's own runtime.
 */
export function startFailureCode(error: ExecPathError): 126 | 127 | undefined {
  const { message } = error;
  if (error.code !== 'ERR_REMOTE' || hopOfMessage(message) !== 'runtime') return undefined;
  if (/executable file (?:`[^`]*` )?not found/i.test(message)) return 127;
  if (/exec: "(?:[^"\\]|\\.)*": (?:stat .*: )?(?:no such file or directory|not a directory)/i.test(message)) return 127;
  const cannotRun = /permission denied|not executable|is a directory|exec format error|text file busy|chdir to cwd/i;
  return cannotRun.test(message) || /unable to start container process/i.test(message) ? 126 : undefined;
}
