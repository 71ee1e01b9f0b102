import { createHash } from 'node:crypto';
import type { Discovery } from './discovery.ts';
import { VERSION } from './version.ts';

/**
 * `GET /openapi/v3`: where the document of each group and version is.
 *
 * The hash is what clients keep a document under.
 */
export function openApiPaths(discovery: Discovery): unknown {
  const paths = discovery.paths.map((path) => {
    const hash = createHash('sha256')
      .update(JSON.stringify(openApiDocument(discovery, path)))
      .digest('hex')
      .slice(0, 32);
    return [path, { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` }];
  });
  return { paths: Object.fromEntries(paths) };
}

/**
 * `GET /openapi/v3/PATH`: no more than kubectl needs to leave validation to the server: for each kind one `patch` with
 * the parameter `fieldValidation`. There are no schemas, so `kubectl explain` finds none.
 *
 * @returns undefined for a path that is not there
 */
export function openApiDocument(discovery: Discovery, path: string): unknown {
  if (!discovery.paths.includes(path)) return undefined;
  const parts = path.split('/');
  const [group = '', version = ''] = parts.length === 2 ? ['', parts[1]] : parts.slice(1);
  const operations = discovery.kindsOf(group, version).map((kind) => [
    `/${path}/${kind.toLowerCase()}s/{name}`,
    {
      patch: {
        operationId: `patch${kind}`,
        parameters: [
          {
            name: 'fieldValidation',
            in: 'query',
            description: 'accepted; unknown fields are kept whatever it says',
            schema: { type: 'string', uniqueItems: true },
          },
        ],
        responses: { 200: { description: 'OK' } },
        'x-kubernetes-action': 'patch',
        'x-kubernetes-group-version-kind': { group, version, kind },
      },
    },
  ]);
  return {
    openapi: '3.0.0',
    info: { title: 'podwire', version: VERSION.gitVersion },
    paths: Object.fromEntries(operations),
    components: { schemas: {} },
  };
}
