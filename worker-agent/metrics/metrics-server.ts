import { createServer } from "node:http";
import type { AgentStatus } from "../state/status-file.ts";
import { prometheusContentType, prometheusText } from "./prometheus-text.ts";

export interface MetricsServer extends AsyncDisposable {
  readonly port: number;
}

/** The port cannot be had: one sentence that says what to do. */
export class MetricsError extends Error {
  override readonly name = "MetricsError";
}

/**
 * Serves `GET /metrics` to programs of this machine. A page in a browser is no such program: a
 * request that names another host than this machine was led here by somebody's DNS. `snapshot`
 * gives null until the worker has started.
 */
export async function serveMetrics(
  port: number,
  snapshot: () => AgentStatus | null,
): Promise<MetricsServer> {
  const server = createServer((request, response) => {
    const status = snapshot();
    const host = (request.headers.host ?? "").replace(/:\d+$/, "");
    if (host !== "127.0.0.1" && host !== "localhost") {
      response.writeHead(403).end("only for this machine\n");
    } else if (request.method !== "GET" || request.url !== "/metrics") {
      response.writeHead(404).end("GET /metrics\n");
    } else if (status === null) {
      response.writeHead(503).end("starting\n");
    } else {
      response.writeHead(200, { "content-type": prometheusContentType });
      response.end(prometheusText(status));
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      const why = cause.code === "EADDRINUSE" ? "another program has it" : cause.message;
      const message = `Cannot serve metrics on 127.0.0.1:${port}: ${why}; choose another --metrics`;
      reject(new MetricsError(message, { cause }));
    });
    server.listen(port, "127.0.0.1", resolve);
  });
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : port,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
