export { type AuthenticationOptions, Authenticator, type TokenSource } from './authentication.ts';
export { checkOrigin } from './origin-check.ts';
export { replaceHeader } from './request-headers.ts';
export { TokenFile } from './token-file.ts';
export * from './user.ts';
