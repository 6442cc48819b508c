/** What llama.cpp found to compute on. */
export type LlamaBackend =
  | {
      readonly kind: "loaded";
      /** `cuda`, `vulkan` or `metal`; null is the processor alone. */
      readonly gpu: string | null;
      readonly devices: readonly string[];
      readonly memoryBytes: number;
    }
  /** It cannot be loaded at all: the reason is for the provider. */
  | { readonly kind: "failed"; readonly reason: string };

/** Loads llama.cpp as an engine would, without a model, and gives it back. Never throws. */
export async function readLlamaBackend(): Promise<LlamaBackend> {
  try {
    const { getLlama, LlamaLogLevel } = await import("node-llama-cpp");
    const llama = await getLlama({
      gpu: "auto",
      build: "never",
      skipDownload: true,
      progressLogs: false,
      logLevel: LlamaLogLevel.disabled,
    });
    try {
      const { gpu } = llama;
      if (gpu === false) return { kind: "loaded", gpu: null, devices: [], memoryBytes: 0 };
      const [devices, memory] = [await llama.getGpuDeviceNames(), await llama.getVramState()];
      return { kind: "loaded", gpu, devices, memoryBytes: memory.total };
    } finally {
      await llama.dispose();
    }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { kind: "failed", reason: message.split("\n")[0] ?? "" };
  }
}
