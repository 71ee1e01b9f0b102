import {
  ContainerEventType,
  grpcCodes,
  type LinuxSandboxSecurityContext,
  type PodSandboxMetadata,
  RuntimeCallError,
  type RuntimeServiceHandlers,
} from '../cri/index.ts';
import { containerStatus } from './container-status.ts';
import { nowNs } from './ending.ts';
import { assertSysctls } from './isolation/index.ts';
import { matchesLabels, newId } from './object-store.ts';
import type { RuntimeState } from './runtime-state.ts';
import { Sandbox } from './sandbox.ts';
import { sandboxEntry, sandboxInfo, sandboxStateOf, sandboxStatus } from './sandbox-status.ts';

type SandboxCalls = Pick<
  RuntimeServiceHandlers,
  | 'runPodSandbox'
  | 'stopPodSandbox'
  | 'removePodSandbox'
  | 'podSandboxStatus'
  | 'listPodSandbox'
  | 'updatePodSandboxResources'
>;

/** The calls about pods. @see cri.md 4.3 */
export function sandboxCalls(state: RuntimeState): SandboxCalls {
  return {
    runPodSandbox: ({ config, runtimeHandler }) =>
      state.make(async () => {
        const metadata = config?.metadata;
        if (config === undefined || metadata === undefined || metadata.name === '') {
          throw new RuntimeCallError(grpcCodes.InvalidArgument, 'sandbox config has no metadata');
        }
        if (runtimeHandler !== '') {
          const name = JSON.stringify(runtimeHandler);
          throw new RuntimeCallError(grpcCodes.Unknown, `no runtime for ${name} is configured`);
        }
        validateUser(config.linux?.securityContext);
        if (state.isolation === undefined) assertSysctls(config.linux?.sysctls ?? {}, () => false);
        const [id, name] = [newId(), sandboxName(metadata)];
        state.sandboxes.assertFree(name);
        const pod = await state.isolation?.createPod(id, config);
        const sandbox = new Sandbox(id, name, { config, runtimeHandler, pod, records: state.records });
        try {
          // Another call may have taken the name meanwhile, or the runtime may have been closed.
          state.assertOpen();
          state.sandboxes.add(sandbox);
          sandbox.save();
          state.endWhenLost(sandbox);
        } catch (thrown) {
          state.sandboxes.delete(sandbox);
          sandbox.forget();
          await pod?.close();
          throw thrown;
        }
        state.tell(ContainerEventType.CONTAINER_CREATED_EVENT, sandbox);
        state.tell(ContainerEventType.CONTAINER_STARTED_EVENT, sandbox);
        return { podSandboxId: sandbox.id };
      }),
    stopPodSandbox: async ({ podSandboxId }) => {
      const sandbox = state.sandboxes.find(podSandboxId);
      if (sandbox !== undefined) await state.endSandbox(sandbox);
      return {};
    },
    removePodSandbox: async ({ podSandboxId }) => {
      const sandbox = state.sandboxes.find(podSandboxId);
      if (sandbox === undefined) return {};
      await state.endSandbox(sandbox);
      await Promise.all(state.containersOf(sandbox).map((container) => state.removeContainer(container)));
      // Whatever is there without a record is cleared away by the next runtime, if it must.
      sandbox.forget();
      await sandbox.pod?.close();
      state.sandboxes.delete(sandbox);
      state.tell(ContainerEventType.CONTAINER_DELETED_EVENT, sandbox);
      return {};
    },
    podSandboxStatus: async ({ podSandboxId, verbose }) => {
      const sandbox = state.sandboxes.get(podSandboxId);
      const containersStatuses = state
        .containersOf(sandbox)
        .map((container) => containerStatus(container, false).status);
      return {
        status: sandboxStatus(sandbox),
        containersStatuses,
        timestamp: nowNs(),
        ...(verbose && { info: sandboxInfo(sandbox) }),
      };
    },
    // For information alone: what a pod may use is what its containers may, and those are told one by one.
    updatePodSandboxResources: async ({ podSandboxId }) => {
      state.sandboxes.get(podSandboxId);
      return {};
    },
    listPodSandbox: async ({ filter }) => {
      const only = filter?.id ? [state.sandboxes.find(filter.id)] : state.sandboxes.values();
      const items = only
        .filter((sandbox) => sandbox !== undefined)
        .filter((sandbox) => filter?.state === undefined || filter.state.state === sandboxStateOf(sandbox))
        .filter((sandbox) => matchesLabels(sandbox.config.labels, filter?.labelSelector))
        .map(sandboxEntry);
      return { items };
    },
  };
}

function sandboxName({ name, namespace, uid, attempt }: PodSandboxMetadata): string {
  return [name, namespace, uid, attempt].join('_');
}

function validateUser(context: LinuxSandboxSecurityContext | undefined): void {
  if (context?.runAsGroup === undefined || context.runAsUser !== undefined) return;
  throw new RuntimeCallError(grpcCodes.InvalidArgument, 'run_as_group is set without run_as_user');
}
