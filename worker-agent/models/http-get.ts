import { ModelError } from "./model-error.ts";

/** Hubs redirect once or twice to their storage; more is a loop. */
const redirectsMax = 5;

export interface GetOptions {
  readonly method?: "GET" | "HEAD";
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as a bearer token to the host of `url` only, never to a host it redirects to. */
  readonly token: string | null;
  readonly signal: AbortSignal;
  /** Answers from this host only: the first redirect to another one is returned as it is. */
  readonly staysOnHost?: boolean;
}

/** A request that follows redirects by hand, so that the token stays with the host it is for. */
export async function httpGet(url: string, options: GetOptions): Promise<Response> {
  const { host } = new URL(url);
  let target = url;
  for (let hop = 0; hop <= redirectsMax; hop++) {
    const isHome = new URL(target).host === host;
    const headers = new Headers({ "user-agent": "octo-worker", ...options.headers });
    // A compressed body has other bytes than the range that was asked for.
    headers.set("accept-encoding", "identity");
    if (isHome && options.token !== null) headers.set("authorization", `Bearer ${options.token}`);
    const method = options.method ?? "GET";
    const response = await fetch(target, {
      method,
      headers,
      redirect: "manual",
      signal: options.signal,
    });
    const location = response.headers.get("location");
    if (response.status < 300 || response.status >= 400 || location === null) return response;
    const next = new URL(location, target);
    if (options.staysOnHost === true && next.host !== host) return response;
    await response.body?.cancel();
    target = next.href;
  }
  throw new ModelError(
    "download_failed",
    `Cannot download ${url}: more than ${redirectsMax} redirects`,
  );
}
