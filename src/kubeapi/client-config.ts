import type { ExecPluginConfig } from './exec-plugin.ts';
import type { Impersonation } from './impersonation.ts';
import type { PemSource } from './pem-source.ts';

/** Whom to call and how to be believed: one context of a kubeconfig, or made by hand. */
export interface ClientConfig {
  /** http or https; its path is put in front of every request's. */
  readonly server: URL;
  /** Default `default`. */
  readonly namespace?: string;
  /** The name the server's certificate must carry, and the SNI. Default the host of `server`. */
  readonly tlsServerName?: string | undefined;
  readonly insecureSkipTlsVerify?: boolean;
  /** Default: the roots of this machine. */
  readonly certificateAuthority?: PemSource | undefined;
  readonly clientCertificate?: PemSource | undefined;
  readonly clientKey?: PemSource | undefined;
  /** http, https or socks5. Default: from the environment. */
  readonly proxyUrl?: URL | undefined;
  readonly token?: string | undefined;
  /** Beats `token`. Read again every minute. */
  readonly tokenFile?: string | undefined;
  readonly basic?: { readonly username: string; readonly password: string } | undefined;
  /** Used for what the fields above leave open. */
  readonly exec?: ExecPluginConfig | undefined;
  /** What its plugin may be told as `spec.cluster.config`. */
  readonly execConfig?: unknown;
  /** Told to plugins; podwire itself never asks for compression. */
  readonly disableCompression?: boolean;
  readonly impersonate?: Impersonation;
}

/** The flags of kubectl; each beats what the kubeconfig says. Files are relative to the working directory. */
export interface ClientOverrides {
  readonly context?: string | undefined;
  readonly cluster?: string | undefined;
  readonly user?: string | undefined;
  readonly namespace?: string | undefined;
  readonly server?: string | undefined;
  readonly tlsServerName?: string | undefined;
  readonly insecureSkipTlsVerify?: boolean | undefined;
  readonly certificateAuthority?: string | undefined;
  readonly clientCertificate?: string | undefined;
  readonly clientKey?: string | undefined;
  readonly token?: string | undefined;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly proxyUrl?: string | undefined;
  readonly as?: string | undefined;
  readonly asUid?: string | undefined;
  readonly asGroups?: readonly string[] | undefined;
  readonly asUserExtra?: Readonly<Record<string, readonly string[]>> | undefined;
}
