import type { ImageServiceHandlers, RuntimeServiceHandlers } from '../cri/index.ts';

/** Items of one message: far from the 16 MiB that a message may have. */
const CHUNK_ITEMS = 100;

type Lists = Pick<
  RuntimeServiceHandlers,
  'listPodSandbox' | 'listContainers' | 'listContainerStats' | 'listPodSandboxStats'
>;

type Streams = Pick<
  RuntimeServiceHandlers,
  'streamPodSandboxes' | 'streamContainers' | 'streamContainerStats' | 'streamPodSandboxStats'
>;

/** The same content as the lists have, in messages of a bounded size; a list that is empty is a stream without any. */
export function listStreams(lists: Lists): Streams {
  return {
    async *streamPodSandboxes({ filter }, context) {
      const { items } = await lists.listPodSandbox(
        { $typeName: 'runtime.v1.ListPodSandboxRequest', ...given(filter) },
        context,
      );
      for (const podSandboxes of chunksOf(items)) yield { podSandboxes };
    },
    async *streamContainers({ filter }, context) {
      const { containers: items } = await lists.listContainers(
        { $typeName: 'runtime.v1.ListContainersRequest', ...given(filter) },
        context,
      );
      for (const containers of chunksOf(items)) yield { containers };
    },
    async *streamContainerStats({ filter }, context) {
      const { stats } = await lists.listContainerStats(
        { $typeName: 'runtime.v1.ListContainerStatsRequest', ...given(filter) },
        context,
      );
      for (const containerStats of chunksOf(stats)) yield { containerStats };
    },
    async *streamPodSandboxStats({ filter }, context) {
      const { stats } = await lists.listPodSandboxStats(
        { $typeName: 'runtime.v1.ListPodSandboxStatsRequest', ...given(filter) },
        context,
      );
      for (const podSandboxStats of chunksOf(stats)) yield { podSandboxStats };
    },
  };
}

/** As {@link listStreams}, for images. */
export function imageStream(list: ImageServiceHandlers['listImages']): Pick<ImageServiceHandlers, 'streamImages'> {
  return {
    async *streamImages({ filter }, context) {
      const { images: items } = await list({ $typeName: 'runtime.v1.ListImagesRequest', ...given(filter) }, context);
      for (const images of chunksOf(items)) yield { images };
    },
  };
}

function given<Filter>(filter: Filter | undefined): { filter?: Filter } {
  return filter === undefined ? {} : { filter };
}

function* chunksOf<Item>(items: readonly Item[] = []): Generator<Item[]> {
  for (let at = 0; at < items.length; at += CHUNK_ITEMS) yield items.slice(at, at + CHUNK_ITEMS);
}
