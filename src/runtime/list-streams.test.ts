import { expect, it } from 'vitest';
import { imageStream, listStreams } from './list-streams.ts';

const context = { signal: new AbortController().signal };
const ids = Array.from({ length: 250 }, (_, at) => ({ id: String(at) }));

async function gather<Message>(stream: AsyncIterable<Message>): Promise<Message[]> {
  const messages: Message[] = [];
  for await (const message of stream) messages.push(message);
  return messages;
}

it('streams what the lists have, in order, by the same filter, in messages of a bounded size', async () => {
  const filters: unknown[] = [];
  const list = async ({ filter }: { readonly filter?: unknown }) => {
    filters.push(filter);
    return { items: ids, containers: ids, stats: [], images: ids };
  };
  const streams = listStreams({
    listPodSandbox: list,
    listContainers: list,
    listContainerStats: list,
    listPodSandboxStats: list,
  });
  const filter = { $typeName: 'runtime.v1.PodSandboxFilter', id: 'x', labelSelector: {} } as const;
  const pods = await gather(
    streams.streamPodSandboxes({ $typeName: 'runtime.v1.StreamPodSandboxesRequest', filter }, context),
  );
  expect(pods.map(({ podSandboxes }) => podSandboxes?.length)).toEqual([100, 100, 50]);
  expect(pods.flatMap(({ podSandboxes }) => podSandboxes)).toEqual(ids);
  const containers = streams.streamContainers({ $typeName: 'runtime.v1.StreamContainersRequest' }, context);
  expect((await gather(containers)).flatMap((message) => message.containers)).toEqual(ids);
  const images = imageStream(list).streamImages({ $typeName: 'runtime.v1.StreamImagesRequest' }, context);
  expect((await gather(images)).flatMap((message) => message.images)).toEqual(ids);
  // Nothing to say is no message, not an empty one.
  const stats = streams.streamContainerStats({ $typeName: 'runtime.v1.StreamContainerStatsRequest' }, context);
  expect(await gather(stats)).toEqual([]);
  expect(filters).toEqual([filter, undefined, undefined, undefined]);
});
