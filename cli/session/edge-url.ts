import { UsageError } from "../failures.ts";

/** An edge's address without a slash at its end. Throws UsageError. */
export function edgeUrlOf(text: string, from: string, isInsecure: boolean): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  const isPlain =
    url !== null &&
    (url.protocol === "https:" || url.protocol === "http:") &&
    url.username + url.password + url.search + url.hash === "";
  if (!isPlain) {
    throw new UsageError(
      `Cannot use ${JSON.stringify(text)} from ${from}: it must be a URL like https://edge.example`,
    );
  }
  if (url.protocol === "http:" && !isLoopback(url) && !isInsecure) {
    throw new UsageError(
      `Cannot use ${JSON.stringify(text)} from ${from}: everybody on the way could read the key; ` +
        "use https, or --insecure where that is meant",
    );
  }
  // Clients are often told where the OpenAI routes begin.
  return url.href.replace(/\/+$/, "").replace(/\/v1$/, "");
}

function isLoopback({ hostname }: URL): boolean {
  return (
    hostname === "localhost" ||
    hostname.endsWith(".localhost") ||
    hostname === "[::1]" ||
    /^127(\.\d{1,3}){3}$/.test(hostname)
  );
}
