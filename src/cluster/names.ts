/** The node of `up` unless somebody names it. */
export const NODE_NAME = 'podwire';

/** The pod that `up` runs, so that there is something to exec into. */
export const DEMO_POD = { namespace: 'default', name: 'demo', container: 'demo' } as const;
