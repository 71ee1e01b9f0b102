import { type AnsweringApi, answeringApi } from './answering-api.ts';
import type { Loopback } from './loopback.ts';

export interface ObjectsApi {
  readonly api: AnsweringApi;
  /** By path: an object, what makes one of the body that was sent, or a number: the code of a refusal. */
  readonly objects: Map<string, object | number | ((body: string) => object)>;
}

/** An API that answers with what stands in `objects` at that time, and 404 for the rest. */
export async function objectsApi(loopback: Loopback): Promise<ObjectsApi> {
  const objects: ObjectsApi['objects'] = new Map();
  const api = await answeringApi(loopback, [
    ({ url, body }, answer) => {
      const found = objects.get(url.pathname) ?? 404;
      const [code, value] =
        typeof found === 'number' ? [found, refusal(url.pathname, found)] : [200, isMaker(found) ? found(body) : found];
      answer.writeHead(code, { 'Content-Type': 'application/json' }).end(JSON.stringify(value));
    },
  ]);
  return { api, objects };
}

function isMaker(found: object): found is (body: string) => object {
  return typeof found === 'function';
}

function refusal(path: string, code: number): object {
  const [plural, name] = path.split('/').slice(-2);
  const message = code === 404 ? `${plural} ${JSON.stringify(name)} not found` : `trouble with ${plural}`;
  return { kind: 'Status', apiVersion: 'v1', status: 'Failure', message, code };
}
