import { Agent, request } from "node:http";
import { parentPort } from "node:worker_threads";
import type { Load, LoadResult } from "./load.ts";

interface Reply {
  /** What went wrong, or null. */
  readonly failure: string | null;
  readonly firstByteMs: number;
  readonly bytes: number;
}

/** Sends one request and reads its reply to the end. */
function once(load: Load, number: number, agent: Agent): Promise<Reply> {
  const own = load.headersByClient ?? [];
  return new Promise((resolve, reject) => {
    const startMs = performance.now();
    let firstByteMs = Number.NaN;
    let bytes = 0;
    let said = "";
    const sent = request(
      load.url,
      {
        method: "POST",
        agent,
        headers: {
          ...load.headers,
          ...own[number % own.length],
          "content-length": Buffer.byteLength(load.body),
        },
      },
      (response) => {
        response.on("data", (chunk: Buffer) => {
          if (bytes === 0) firstByteMs = performance.now() - startMs;
          bytes += chunk.length;
          if (response.statusCode !== 200) said += chunk.toString();
        });
        response.once("end", () => {
          const failure = response.statusCode === 200 ? null : `${response.statusCode} ${said}`;
          resolve({ failure, firstByteMs, bytes });
        });
        response.once("error", reject);
      },
    );
    sent.once("error", reject);
    sent.end(load.body);
  });
}

async function run(load: Load): Promise<LoadResult> {
  const agent = new Agent({ keepAlive: true, maxSockets: load.concurrency });
  const startMs = performance.now();
  const endMs = startMs + load.durationMs;
  const firstByteMs: number[] = [];
  const failures: string[] = [];
  let bytes = 0;
  const client = async (_: unknown, number: number) => {
    while (performance.now() < endMs) {
      const reply = await once(load, number, agent);
      if (reply.failure === null) firstByteMs.push(reply.firstByteMs);
      else failures.push(reply.failure);
      bytes += reply.bytes;
    }
  };
  await Promise.all(Array.from({ length: load.concurrency }, client));
  agent.destroy();
  const seconds = (performance.now() - startMs) / 1000;
  return {
    replies: firstByteMs.length,
    failures: failures.length,
    failure: failures[0] ?? "",
    seconds,
    firstByteMs,
    bytes,
  };
}

parentPort?.on("message", (load: Load) => {
  run(load).then(
    (result) => parentPort?.postMessage(result),
    (error: unknown) => {
      throw error;
    },
  );
});
