import type { Identified } from "./identify.ts";
import { identify } from "./identify.ts";
import type { Server } from "./http.ts";
import { TransportError } from "./http.ts";
import type { Secret } from "./secret.ts";

/**
 * Where servers listen unless told otherwise: Ollama 11434; llama-server and LocalAI 8080; vLLM,
 * TensorRT-LLM and Triton's HTTP endpoint 8000; SGLang 30000; LM Studio and stable-diffusion.cpp
 * 1234; Triton's OpenAI frontend 9000.
 */
const usualPorts = [11434, 8080, 8000, 30_000, 1234, 9000];

/** A server on this machine answers in milliseconds; a port without one refuses at once. */
const lookMs = 500;

export interface FoundServer {
  readonly server: Server;
  readonly identified: Identified;
}

/** The servers of models on this machine's usual ports, looked at together. */
export async function discover(
  key: Secret | null,
  signal: AbortSignal,
  ports: readonly number[] = usualPorts,
): Promise<FoundServer[]> {
  const found = await Promise.all(
    ports.map(async (port): Promise<FoundServer[]> => {
      const server = { url: `http://127.0.0.1:${port}`, key };
      try {
        const identified = await identify(server, { signal, timeoutMs: lookMs });
        return identified === null ? [] : [{ server, identified }];
      } catch (error) {
        signal.throwIfAborted();
        // Nothing is there, or something that does not speak HTTP.
        if (error instanceof TransportError) return [];
        throw error;
      }
    }),
  );
  return found.flat();
}
