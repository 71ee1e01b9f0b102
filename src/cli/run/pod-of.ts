import { isJsonObject, type JsonObject } from '../../common/json-object.ts';
import { applyMergePatch, type Container, type Pod } from '../../kubeapi/index.ts';
import { UsageError } from '../usage-error.ts';

/** The pod that `podwire run` is asked for. */
export interface PodOptions {
  readonly name: string;
  readonly image: string;
  readonly restartPolicy: 'Always' | 'OnFailure' | 'Never';
  /** '' leaves it to the server. */
  readonly imagePullPolicy: '' | 'Always' | 'IfNotPresent' | 'Never';
  /** `NAME=VALUE` */
  readonly env: readonly string[];
  /** `KEY=VALUE`; none is `run=NAME`. */
  readonly labels: readonly string[];
  readonly port: number | undefined;
  /** The image's arguments, or with `replacesCommand` its command. */
  readonly command: readonly string[];
  readonly replacesCommand: boolean;
  readonly stdin: boolean;
  /** stdin stays open for the next one who attaches. */
  readonly leaveStdinOpen: boolean;
  readonly tty: boolean;
  /** A JSON merge patch of the pod; '' is none. */
  readonly overrides: string;
}

/** @throws UsageError in kubectl's words for overrides that are none */
export function podOf(options: PodOptions): Pod {
  const { name, labels, restartPolicy, overrides } = options;
  const pod: Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: labels.length === 0 ? { run: name } : Object.fromEntries(labels.map(pairOf)) },
    spec: { restartPolicy, containers: [containerOf(options)] },
  };
  return overrides === '' ? pod : (applyMergePatch(pod, overridesIn(overrides)) as Pod);
}

function containerOf(options: PodOptions): Container {
  const { name, image, imagePullPolicy, env, port, command, stdin, tty } = options;
  return {
    name,
    image,
    ...(imagePullPolicy === '' ? {} : { imagePullPolicy }),
    ...(env.length === 0 ? {} : { env: env.map(pairOf).map(([key, value]) => ({ name: key, value })) }),
    ...(port === undefined ? {} : { ports: [{ containerPort: port }] }),
    ...(command.length === 0 ? {} : { [options.replacesCommand ? 'command' : 'args']: command }),
    ...(stdin ? { stdin } : {}),
    ...(stdin && !options.leaveStdinOpen ? { stdinOnce: true } : {}),
    ...(tty ? { tty } : {}),
  };
}

function pairOf(text: string): [string, string] {
  const at = text.indexOf('=');
  return [text.slice(0, at), text.slice(at + 1)];
}

function overridesIn(text: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new UsageError('Invalid JSON Patch');
  }
  if (!isJsonObject(value)) throw new UsageError('Invalid JSON Patch');
  return value;
}
