import type { Metadata, Value } from "./gguf-header.ts";

/** What a model keeps of its context, in a cache of 16-bit floats. */
export interface CacheShape {
  /** Bytes a token takes in the layers that attend to the whole context. */
  readonly bytesPerToken: number;
  /** The window of the layers that attend to the last tokens only; 0 where there is none. */
  readonly windowTokens: number;
  /** Bytes a token takes in those layers. */
  readonly windowBytesPerToken: number;
  /** The state of recurrent layers, whatever the context. */
  readonly stateBytesPerSlot: number;
}

/** Each number of a cache takes two bytes, each of a recurrent state four. */
const cacheFloatBytes = 2;
const stateFloatBytes = 4;

/**
 * Of so many layers one attends to the whole context, and whether it is the first of them:
 * llama.cpp's own patterns for architectures whose files do not say it (llama-model.cpp,
 * `set_swa_pattern`). Any other architecture is taken to keep everything.
 */
const windowPatterns: ReadonlyMap<string, readonly [every: number, isDenseFirst: boolean]> =
  new Map([
    ["llama4", [4, false]],
    ["afmoe", [4, false]],
    ["modern-bert", [3, true]],
    ["plamo3", [8, false]],
    ["gemma2", [2, false]],
    ["gemma3", [6, false]],
    ["gemma3n", [5, false]],
    ["gemma-embedding", [6, false]],
    ["cohere2", [4, false]],
    ["olmo2", [4, false]],
    ["exaone4", [4, false]],
    ["exaone-moe", [4, false]],
    ["gpt-oss", [2, false]],
    ["smallthinker", [4, true]],
  ]);

/** What the metadata of a model of `architecture` says of its cache. */
export function cacheShape(metadata: Metadata, architecture: string): CacheShape {
  const value = (key: string): Value | undefined => metadata.get(`${architecture}.${key}`);
  const number = (key: string): number | null => {
    const found = value(key);
    return typeof found === "number" && found >= 0 ? found : null;
  };
  const layers = Math.min(number("block_count") ?? 0, layersMax);
  const sharing = Math.max(0, layers - (number("attention.shared_kv_layers") ?? 0));
  const window = windowOf(number("attention.sliding_window"), number("context_length"));
  const heads = byLayer(value("attention.head_count"), 0);
  const cachedHeads = byLayer(value("attention.head_count_kv"), heads(0));
  const sizes = headSizes(number, heads(0));
  const isRecurrent = recurrentLayers(architecture, value, number);
  let bytesPerToken = 0;
  let windowBytesPerToken = 0;
  let recurrentCount = 0;
  for (let layer = 0; layer < layers; layer++) {
    if (isRecurrent(layer)) recurrentCount++;
    // The last layers of some models read the cache of earlier ones.
    if (layer >= sharing) continue;
    const isWindowed =
      window > 0 && isWindowedLayer(architecture, value("attention.sliding_window_pattern"), layer);
    const bytes = cachedHeads(layer) * (isWindowed ? sizes.windowed : sizes.full);
    if (isWindowed) windowBytesPerToken += bytes * cacheFloatBytes;
    else if (!isRecurrent(layer) || keepsBoth.has(architecture)) {
      bytesPerToken += bytes * cacheFloatBytes;
    }
  }
  return {
    bytesPerToken: Math.ceil(bytesPerToken),
    windowTokens: windowBytesPerToken > 0 ? window : 0,
    windowBytesPerToken: Math.ceil(windowBytesPerToken),
    stateBytesPerSlot: recurrentCount * stateBytes(number, heads(0)),
  };
}

/** Deeper models do not exist; a header that claims more is not to keep us counting. */
const layersMax = 4096;

/** Every layer of these has attention and a recurrent state beside it. */
const keepsBoth: ReadonlySet<string> = new Set(["falcon-h1"]);

function windowOf(window: number | null, trained: number | null): number {
  if (window === null || (trained !== null && window >= trained)) return 0;
  return window;
}

/** A value that a file gives once for all layers, or layer by layer. */
function byLayer(value: Value | undefined, fallback: number): (layer: number) => number {
  if (Array.isArray(value)) return (layer) => (value as readonly number[])[layer] ?? fallback;
  return () => (typeof value === "number" ? value : fallback);
}

interface HeadSizes {
  /** Numbers that one head keeps of a token: its key and its value. */
  readonly full: number;
  readonly windowed: number;
}

function headSizes(number: (key: string) => number | null, heads: number): HeadSizes {
  const embedding = number("embedding_length") ?? 0;
  const perHead = heads > 0 ? embedding / heads : 0;
  const key = number("attention.key_length") ?? perHead;
  // Latent attention (MLA) keeps one compressed vector, of which keys and values are made again.
  const isLatent = number("attention.key_length_mla") !== null;
  const value = isLatent ? 0 : (number("attention.value_length") ?? perHead);
  const windowedKey = number("attention.key_length_swa") ?? key;
  const windowedValue = number("attention.value_length_swa") ?? value;
  return { full: key + value, windowed: windowedKey + windowedValue };
}

function isWindowedLayer(architecture: string, pattern: Value | undefined, layer: number): boolean {
  if (Array.isArray(pattern)) return (pattern as readonly number[])[layer] === 1;
  const [own, isDenseFirst] = windowPatterns.get(architecture) ?? [1, false];
  const every = typeof pattern === "number" ? Math.floor(pattern) : own;
  if (every <= 0) return true;
  return isDenseFirst ? layer % every !== 0 : layer % every < every - 1;
}

/** Architectures all of whose layers are recurrent. */
const recurrentOnly: ReadonlySet<string> = new Set([
  "mamba",
  "mamba2",
  "rwkv6",
  "rwkv6qwen2",
  "rwkv7",
  "arwkv7",
  "falcon-h1",
]);

function recurrentLayers(
  architecture: string,
  value: (key: string) => Value | undefined,
  number: (key: string) => number | null,
): (layer: number) => boolean {
  if (recurrentOnly.has(architecture)) return () => true;
  const interval = number("full_attention_interval");
  if (interval !== null && interval >= 1) return (layer) => (layer + 1) % interval !== 0;
  const heads = value("attention.head_count_kv");
  if (!Array.isArray(heads)) return () => false;
  // A layer without cached heads is recurrent, or in some hybrids a feed-forward one: counting
  // those too errs on the safe side.
  return (layer) => (heads as readonly number[])[layer] === 0;
}

/** One recurrent layer's state (llama.cpp, `n_embd_r` and `n_embd_s`). */
function stateBytes(number: (key: string) => number | null, heads: number): number {
  const of = (key: string): number => number(key) ?? 0;
  const embedding = of("embedding_length");
  const wkv = of("wkv.head_size");
  if (wkv > 0) return stateFloatBytes * embedding * (of("token_shift_count") + wkv);
  const shortConvolution = of("shortconv.l_cache");
  if (shortConvolution > 0) return stateFloatBytes * embedding * (shortConvolution - 1);
  const kernel = of("ssm.conv_kernel");
  const delta = of("kda.head_dim");
  if (delta > 0) {
    const history = 3 * (kernel > 0 ? kernel - 1 : 3) * heads * delta;
    return stateFloatBytes * (history + delta * delta * heads);
  }
  const inner = of("ssm.inner_size");
  const state = of("ssm.state_size");
  const history = Math.max(0, kernel - 1) * (inner + 2 * of("ssm.group_count") * state);
  return stateFloatBytes * (history + state * inner);
}
