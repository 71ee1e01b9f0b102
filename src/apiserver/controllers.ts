import { NamespaceCleaner } from './namespace-cleaner.ts';
import { NodeMonitor, type NodeMonitorOptions } from './node-monitor.ts';
import type { Registry } from './registry.ts';
import { Scheduler } from './scheduler.ts';

/** What the apiserver does by itself, each of which can be left to somebody else: `--controllers`. */
export const controllerNames = ['scheduler', 'namespace', 'nodelifecycle'] as const;

export type ControllerName = (typeof controllerNames)[number];

export interface ControllersOptions extends Omit<NodeMonitorOptions, 'signal'> {
  readonly names: readonly ControllerName[];
}

/** Starts controllers. @returns stops them */
export function startControllers(registry: Registry, options: ControllersOptions): () => Promise<void> {
  const stop = new AbortController();
  const shared = { ...options, signal: stop.signal };
  const running = [...new Set(options.names)].map((name) => {
    switch (name) {
      case 'scheduler':
        return new Scheduler(registry, shared);
      case 'namespace':
        return new NamespaceCleaner(registry, shared);
      case 'nodelifecycle':
        return new NodeMonitor(registry, shared);
    }
  });
  return async () => {
    stop.abort();
    await Promise.all(running.map((one) => one.done()));
  };
}
