import type { KubeClient, KubeObject, ResourceType } from '../kubeapi/index.ts';
import { clientFlags } from './client-flags.ts';
import { defineCommand } from './command.ts';
import { durationFlag, type FlagValues, stringFlag } from './flag.ts';
import type { Io } from './io.ts';
import { objectsNamedBy, resourceTypeOf, singularOf } from './object-kinds.ts';
import { suggestObjects } from './suggestions.ts';
import { UsageError } from './usage-error.ts';
import { withClient } from './with-client.ts';

const own = {
  for: stringFlag({ value: 'create|delete|condition=NAME[=VALUE]', help: 'what to wait for' }),
  timeout: durationFlag({ help: 'how long at most', shownDefault: '30s' }),
} as const;

const flags = { ...own, ...clientFlags } as const;

const DEFAULT_TIMEOUT_MS = 30_000;

/** What an object must be; it is gone where `object` is undefined. */
type Goal = (object: KubeObject | undefined) => boolean;

interface WaitOptions {
  readonly args: readonly string[];
  readonly goal: Goal | undefined;
  readonly values: FlagValues<typeof flags>;
}

export const waitCommand = defineCommand({
  name: 'wait',
  summary: 'Wait until objects are there, are gone, or have a condition',
  usage: '(TYPE NAME… | TYPE/NAME…) --for=GOAL [flags]',
  description: 'Returns when all of the objects are as --for says, or fails when the time is over.',
  examples: [
    { about: 'until a pod can be exec’d into', line: 'podwire wait --for=condition=Ready pod/web' },
    { about: 'until it is gone', line: 'podwire wait --for=delete pod/web --timeout=1m' },
  ],
  groups: [
    { title: 'Options', flags: own },
    { title: 'Cluster', flags: clientFlags },
  ],
  flags,
  complete: ({ args, values }): WaitOptions => ({ args, values, goal: goalOf(values.for ?? '') }),
  validate: ({ args, goal, values }) => {
    if (objectsNamedBy(args, 'wait').some(({ name }) => name === undefined)) {
      throw new UsageError('wait needs the names of the objects');
    }
    if (goal === undefined) {
      throw new UsageError(
        `--for ${JSON.stringify(values.for ?? '')} must be create, delete or condition=NAME[=VALUE]`,
      );
    }
  },
  run: runWait,
  suggest: suggestObjects,
});

function goalOf(text: string): Goal | undefined {
  if (text === 'delete') return (object) => object === undefined;
  if (text === 'create') return (object) => object !== undefined;
  const [, name = '', value = 'true'] = /^condition=([^=]+)(?:=(.*))?$/i.exec(text) ?? [];
  if (name === '') return undefined;
  return (object) => {
    const { status } = { ...object } as {
      readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
    };
    const found = status?.conditions?.find(({ type }) => type.toLowerCase() === name.toLowerCase());
    return found?.status.toLowerCase() === value.toLowerCase();
  };
}

async function runWait({ args, goal, values }: WaitOptions, io: Io): Promise<number> {
  return withClient(values, io, async (call) => {
    const limit = AbortSignal.timeout(values.timeout ?? DEFAULT_TIMEOUT_MS);
    const signal = AbortSignal.any([call.signal, limit]);
    for (const { kind, name = '' } of objectsNamedBy(args, 'wait')) {
      const type = await resourceTypeOf(kind);
      const namespace = type.namespaced ? { namespace: call.namespace } : {};
      const isMet = await isMetInTime(call.client, { type, name, ...namespace, goal: goal ?? (() => true), signal });
      call.signal.throwIfAborted();
      const what = `${singularOf(type)}/${name}`;
      if (!isMet) {
        io.err.write(`error: timed out waiting for the condition on ${type.plural}/${name}\n`);
        return 1;
      }
      io.out.write(`${what} condition met\n`);
    }
    return 0;
  });
}

interface Waiting {
  readonly type: ResourceType<KubeObject>;
  readonly name: string;
  readonly namespace?: string;
  readonly goal: Goal;
  readonly signal: AbortSignal;
}

async function isMetInTime(client: KubeClient, { type, name, namespace, goal, signal }: Waiting): Promise<boolean> {
  const { listWatch } = await import('../kubeapi/index.ts');
  const place = namespace === undefined ? {} : { namespace };
  for await (const event of listWatch(client, type, { ...place, fieldSelector: `metadata.name=${name}`, signal })) {
    const object = event.type === 'SYNC' ? event.items[0] : event.type === 'DELETED' ? undefined : event.object;
    if (goal(object)) return true;
  }
  return false;
}
