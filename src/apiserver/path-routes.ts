import { sendBytes, sendJson, sendText } from './answer.ts';
import { methodNotAllowed, unknownPath } from './api-error.ts';
import type { Discovery } from './discovery.ts';
import type { Exchange } from './exchange.ts';
import { discoveryFormOf } from './media-negotiation.ts';
import { OpenApi } from './openapi.ts';
import { OPENAPI_V2_PROTOBUF } from './openapi-protobuf.ts';
import { VERSION } from './version.ts';

const healthPaths = ['/healthz', '/livez', '/readyz'];

/** The requests for no object: what the API is, and whether it is well. */
export class PathRoutes {
  readonly #discovery: Discovery;
  readonly #openApi: OpenApi;

  constructor(discovery: Discovery) {
    this.#discovery = discovery;
    this.#openApi = new OpenApi(discovery);
  }

  /** Answers one request. @throws what becomes its Status */
  serve(exchange: Exchange, path: string): void {
    const plain = path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
    const answer = this.#healthAnswer(exchange, plain) ?? this.#documentAnswer(exchange, plain);
    if (answer === undefined) throw unknownPath();
    const { method } = exchange.request;
    if (method !== 'GET' && method !== 'HEAD') throw methodNotAllowed();
    answer();
  }

  #healthAnswer({ response, query }: Exchange, path: string): (() => void) | undefined {
    const check = healthPaths.find((one) => path === one || path.startsWith(`${one}/`));
    if (check === undefined) return undefined;
    if (path !== check) return path === `${check}/ping` ? () => sendText(response, 200, 'ok') : undefined;
    const name = check.slice(1);
    return () => sendText(response, 200, query.has('verbose') ? `[+]ping ok\n${name} check passed\n` : 'ok');
  }

  #documentAnswer(exchange: Exchange, path: string): (() => void) | undefined {
    const json = (document: unknown): (() => void) | undefined =>
      document === undefined ? undefined : () => sendJson(exchange.response, 200, document);
    const segments = path.split('/').slice(1);
    switch (segments[0]) {
      case '':
        return json({ paths: this.#paths() });
      case 'version':
        return segments.length === 1 ? json(VERSION) : undefined;
      case 'api':
        if (segments.length === 1) return this.#discoveryAnswer(exchange, 'core');
        return segments.length === 2 ? json(this.#discovery.resourceList('', segments[1] ?? '')) : undefined;
      case 'apis':
        if (segments.length === 1) return this.#discoveryAnswer(exchange, 'groups');
        if (segments.length === 2) return json(this.#discovery.legacyGroup(segments[1] ?? ''));
        return segments.length === 3
          ? json(this.#discovery.resourceList(segments[1] ?? '', segments[2] ?? ''))
          : undefined;
      case 'openapi':
        return this.#openApiAnswer(exchange, segments.slice(1));
      default:
        return undefined;
    }
  }

  #openApiAnswer({ request, response }: Exchange, [form, ...path]: readonly string[]): (() => void) | undefined {
    if (form === 'v2' && path.length === 0) {
      const asksJson = (request.headers.accept ?? '').startsWith('application/json');
      if (asksJson) return () => sendJson(response, 200, this.#openApi.v2);
      return () => sendBytes(response, this.#openApi.v2Bytes, OPENAPI_V2_PROTOBUF);
    }
    if (form !== 'v3') return undefined;
    if (path.length === 0) return () => sendJson(response, 200, this.#openApi.paths());
    const document = this.#openApi.document(path.join('/'));
    if (document === undefined) return undefined;
    return () => sendBytes(response, Buffer.from(document), 'application/json');
  }

  #discoveryAnswer({ request, response }: Exchange, which: 'core' | 'groups'): () => void {
    const form = discoveryFormOf(request.headers.accept ?? '');
    response.setHeader('Vary', 'Accept');
    if (form !== 'legacy') {
      const type = `application/json;g=apidiscovery.k8s.io;v=${form};as=APIGroupDiscoveryList`;
      return () => sendJson(response, 200, this.#discovery.aggregated(which, form), type);
    }
    const document =
      which === 'core' ? this.#discovery.legacyCore(request.headers.host ?? '') : this.#discovery.legacyGroups();
    return () => sendJson(response, 200, document);
  }

  #paths(): readonly string[] {
    const documents = this.#discovery.paths.map((path) => `/${path}`);
    return ['/api', '/apis', ...documents, ...healthPaths, '/openapi/v2', '/openapi/v3', '/version'];
  }
}
