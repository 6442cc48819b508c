import type { GraphStep } from "./onnx-graph.ts";
import { onnxModel } from "./onnx-graph.ts";
import { writeFiles } from "./onnx-models.ts";

/*
 * A model in the form of Whisper: an encoder that hears how loud its half minute is, and a decoder
 * that says the same words of every one, with their times, in French where it is loud.
 */

/** Words first, then marks, then times in steps of 20 ms: an order that code relies on. */
const marks = ["endoftext", "startoftranscript", "en", "fr", "translate", "transcribe"];
const timesCount = 1_501;
const tokens = [
  "Ġhello",
  "Ġworld",
  ...marks.map((mark) => `<|${mark}|>`),
  "<|notimestamps|>",
  ...Array.from({ length: timesCount }, (_, at) => `<|${(at / 50).toFixed(2)}|>`),
];

function idOf(token: string): number {
  return tokens.indexOf(token);
}

/** What the decoder says after each token: `hello world`, from 0 to 2 seconds. */
const nextByToken: Readonly<Record<string, string>> = {
  "<|transcribe|>": "<|0.00|>",
  "<|0.00|>": "Ġhello",
  Ġhello: "Ġworld",
  Ġworld: "<|2.00|>",
};

const frames = 1_500;

const config = {
  model_type: "whisper",
  architectures: ["WhisperForConditionalGeneration"],
  is_encoder_decoder: true,
  vocab_size: tokens.length,
  num_mel_bins: 80,
  // Without layers the decoder has no cache to hand on.
  decoder_layers: 0,
  encoder_layers: 0,
  decoder_attention_heads: 1,
  encoder_attention_heads: 1,
  d_model: 1,
  max_source_positions: frames,
  max_target_positions: 448,
  decoder_start_token_id: idOf("<|startoftranscript|>"),
  eos_token_id: idOf("<|endoftext|>"),
  pad_token_id: idOf("<|endoftext|>"),
};

/** Writes the model; of one language where `languages` is 1. */
export function writeWhisper(folder: string, languages: 1 | 2 = 2): string {
  const isMultilingual = languages === 2;
  return writeFiles(folder, {
    ...tokenizer,
    "config.json": config,
    "generation_config.json": {
      is_multilingual: isMultilingual,
      ...(isMultilingual
        ? {
            lang_to_id: { "<|en|>": idOf("<|en|>"), "<|fr|>": idOf("<|fr|>") },
            task_to_id: { transcribe: idOf("<|transcribe|>"), translate: idOf("<|translate|>") },
          }
        : {}),
      decoder_start_token_id: config.decoder_start_token_id,
      eos_token_id: config.eos_token_id,
      pad_token_id: config.pad_token_id,
      no_timestamps_token_id: idOf("<|notimestamps|>"),
      max_initial_timestamp_index: 50,
      max_length: 40,
      suppress_tokens: [],
      begin_suppress_tokens: [],
    },
    "preprocessor_config.json": {
      feature_extractor_type: "WhisperFeatureExtractor",
      processor_class: "WhisperProcessor",
      chunk_length: 30,
      feature_size: 80,
      hop_length: 160,
      n_fft: 400,
      n_samples: 480_000,
      nb_max_frames: 3_000,
      sampling_rate: 16_000,
    },
    "onnx/encoder_model.onnx": encoder(),
    "onnx/decoder_model_merged.onnx": decoder(isMultilingual ? "<|en|>" : "<|0.00|>"),
  });
}

/** How loud it is: zero for silence. */
function encoder(): Buffer {
  return onnxModel({
    inputs: [{ name: "input_features", dims: ["batch", 80, "frames"], type: "float" }],
    outputs: [{ name: "last_hidden_state", dims: ["batch", 1, 1], type: "float" }],
    constants: [{ name: "silence", dims: [1], values: [1.4] }],
    steps: [
      {
        operator: "ReduceMean",
        inputs: ["input_features"],
        outputs: ["mean"],
        attributes: { axes: [1, 2] },
      },
      // Whisper's features of pure silence are -1.5.
      { operator: "Add", inputs: ["mean", "silence"], outputs: ["above"] },
      { operator: "Relu", inputs: ["above"], outputs: ["last_hidden_state"] },
    ],
  });
}

function decoder(first: string): Buffer {
  const width = tokens.length;
  const end = "<|endoftext|>";
  const start = idOf("<|startoftranscript|>");
  const next = tokens.map((token, id) => (id === start ? first : (nextByToken[token] ?? end)));
  const steps: GraphStep[] = [
    { operator: "Gather", inputs: ["next", "input_ids"], outputs: ["nextIds"] },
    { operator: "OneHot", inputs: ["nextIds", "width", "offOn"], outputs: ["chain"] },
    { operator: "Gather", inputs: ["isStart", "input_ids"], outputs: ["starts"] },
    { operator: "Mul", inputs: ["starts", "encoder_hidden_states"], outputs: ["loudStarts"] },
    { operator: "Mul", inputs: ["loudStarts", "french"], outputs: ["pull"] },
    { operator: "Add", inputs: ["chain", "pull"], outputs: ["logits"] },
  ];
  return onnxModel({
    inputs: [
      { name: "input_ids", dims: ["batch", "length"], type: "int64" },
      { name: "encoder_hidden_states", dims: ["batch", 1, 1], type: "float" },
    ],
    outputs: [{ name: "logits", dims: ["batch", "length", width], type: "float" }],
    constants: [
      { name: "next", dims: [width], values: next.map(idOf), type: "int64" },
      { name: "width", dims: [], values: [width], type: "int64" },
      { name: "offOn", dims: [2], values: [0, 50] },
      { name: "isStart", dims: [width, 1], values: tokens.map((_, id) => (id === start ? 1 : 0)) },
      {
        name: "french",
        dims: [width],
        values: tokens.map((token) => (token === "<|fr|>" ? 1e6 : 0)),
      },
    ],
    steps,
  });
}

const tokenizer = {
  "tokenizer.json": {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: tokens.slice(2).map((content, at) => ({
      id: at + 2,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: at + 2 <= idOf("<|notimestamps|>"),
    })),
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true },
    post_processor: null,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true },
    model: {
      type: "WordLevel",
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      unk_token: "<|endoftext|>",
    },
  },
  "tokenizer_config.json": {
    tokenizer_class: "WhisperTokenizer",
    processor_class: "WhisperProcessor",
    bos_token: "<|endoftext|>",
    eos_token: "<|endoftext|>",
    pad_token: "<|endoftext|>",
    unk_token: "<|endoftext|>",
  },
};
