import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { parentPort } from "node:worker_threads";
import type { StreamLoad, StreamLoadResult } from "./stream-load.ts";

interface Stream {
  readonly ok: boolean;
  readonly gapsMs: readonly number[];
  readonly bytes: number;
}

function read(load: StreamLoad, agent: Agent): Promise<Stream> {
  return new Promise((resolve, reject) => {
    const gapsMs: number[] = [];
    let bytes = 0;
    let lastMs = Number.NaN;
    const headers = { ...load.headers, "content-length": Buffer.byteLength(load.body) };
    const sent = request(load.url, { method: "POST", agent, headers }, (response) => {
      response.on("data", (chunk: Buffer) => {
        const nowMs = performance.now();
        if (bytes > 0) gapsMs.push(nowMs - lastMs);
        lastMs = nowMs;
        bytes += chunk.length;
      });
      response.once("end", () => resolve({ ok: response.statusCode === 200, gapsMs, bytes }));
      response.once("error", reject);
    });
    sent.once("error", reject);
    sent.end(load.body);
  });
}

async function run(load: StreamLoad): Promise<StreamLoadResult> {
  const agent = new Agent({ keepAlive: true });
  const all = await Promise.all(
    Array.from({ length: load.streams }, async (_, at) => {
      await sleep((at * load.spreadMs) / load.streams);
      return read(load, agent);
    }),
  );
  agent.destroy();
  return {
    failures: all.filter(({ ok }) => !ok).length,
    gapsMs: all.flatMap(({ gapsMs }) => gapsMs),
    bytes: all.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

parentPort?.on("message", (load: StreamLoad) => {
  run(load).then(
    (result) => parentPort?.postMessage(result),
    (error: unknown) => {
      throw error;
    },
  );
});
