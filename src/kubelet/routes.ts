/** A parsed kubelet path. `uid` is present in the longer form of the streaming paths. */
export type Route =
  | {
      readonly kind: 'exec' | 'attach' | 'run';
      readonly namespace: string;
      readonly pod: string;
      readonly uid: string | undefined;
      readonly container: string;
    }
  | { readonly kind: 'portForward'; readonly namespace: string; readonly pod: string; readonly uid: string | undefined }
  | { readonly kind: 'containerLogs'; readonly namespace: string; readonly pod: string; readonly container: string }
  | { readonly kind: 'pods' | 'runningpods' | 'healthz' };

/** The route of a path, or undefined: 404. Segments are percent-decoded; a broken escape is no route. */
export function parseRoute(pathname: string): Route | undefined {
  let segments: string[];
  try {
    segments = pathname.split('/').slice(1).map(decodeURIComponent);
  } catch {
    return undefined;
  }
  if (segments.at(-1) === '') segments.pop();
  const [first = '', namespace, pod, third, fourth, ...rest] = segments;
  if (rest.length > 0) return undefined;
  switch (first) {
    case 'exec':
    case 'attach':
    case 'run': {
      const [uid, container] = fourth === undefined ? [undefined, third] : [third, fourth];
      if (!namespace || !pod || !container || uid === '') return undefined;
      return { kind: first, namespace, pod, uid, container };
    }
    case 'portForward':
      if (!namespace || !pod || fourth !== undefined) return undefined;
      return { kind: first, namespace, pod, uid: third };
    case 'containerLogs':
      if (!namespace || !pod || !third || fourth !== undefined) return undefined;
      return { kind: first, namespace, pod, container: third };
    case 'pods':
    case 'runningpods':
      return namespace === undefined ? { kind: first } : undefined;
    case 'healthz':
      // `/healthz/ping`, `/healthz/log` and `/healthz/syncloop` are single checks of the same answer.
      return pod === undefined ? { kind: first } : undefined;
    default:
      return undefined;
  }
}

/** The methods that a route takes. */
export function methodsOf(route: Route): readonly string[] {
  switch (route.kind) {
    case 'exec':
    case 'attach':
    case 'portForward':
      return ['GET', 'POST'];
    case 'run':
      return ['POST'];
    case 'pods':
    case 'runningpods':
    case 'containerLogs':
      return ['GET'];
    case 'healthz':
      return ['GET', 'HEAD', 'POST'];
  }
}

/** The subresources of `nodes`, one of which the caller needs (http-surfaces.md 1.5). */
export function nodeSubresources(route: Route): readonly string[] {
  switch (route.kind) {
    case 'healthz':
      return ['healthz', 'proxy'];
    case 'pods':
    case 'runningpods':
      return ['pods', 'proxy'];
    case 'exec':
    case 'attach':
    case 'run':
    case 'portForward':
    case 'containerLogs':
      return ['proxy'];
  }
}
