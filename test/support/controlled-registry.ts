import { type ControllersOptions, startControllers } from '../../src/apiserver/controllers.ts';
import { Registry } from '../../src/apiserver/registry.ts';
import { allResources } from '../../src/apiserver/resources.ts';
import { MemoryStore } from '../../src/store/index.ts';

/** A registry in memory, on which controllers work that must have no problem. */
export async function controlledRegistry(
  options: Partial<ControllersOptions> & Pick<ControllersOptions, 'names'>,
): Promise<{ readonly registry: Registry; readonly close: () => Promise<void> }> {
  const registry = new Registry(new MemoryStore(), allResources());
  await registry.createLastingNamespaces();
  const onProblem = (problem: Error): void => {
    throw problem;
  };
  const stop = startControllers(registry, { onProblem, ...options });
  const close = async (): Promise<void> => {
    await stop();
    await registry.close();
  };
  return { registry, close };
}
