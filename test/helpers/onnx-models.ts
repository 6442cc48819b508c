import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Graph, GraphStep, GraphTensor } from "./onnx-graph.ts";
import { onnxModel, tensorData } from "./onnx-graph.ts";

/*
 * Folders of ONNX models whose every answer can be computed by hand: words are looked up in a
 * table, so a text's vector is the mean of its words' rows, and its logits are their sum.
 */

/** The words of the text models, each at the id of its place. */
export const words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "red", "green", "blue", "dark"] as const;

/** The longest text they read, in tokens. */
export const contextTokens = 256;

/** All other words are read letter by letter. */
const alphabet = [..."abcdefghijklmnopqrstuvwxyz"];
const vocabulary = [...words, ...alphabet, ...alphabet.map((letter) => `##${letter}`)];

/** The row of each word. Three of the first four are no words, and count for nothing. */
export const vectorByWord: readonly (readonly number[])[] = [
  [9, 9, 9, 9],
  [0, 0, 0, 1],
  [0, 0, 0, 0],
  [0, 0, 0, 0],
  [1, 0, 0, 0],
  [0, 2, 0, 0],
  [0, 0, 3, 0],
  [1, 1, 1, 1],
];
const letterVectors = alphabet.map((_, at) => [at, 26 - at, 0, 0]);
const table: GraphTensor = {
  name: "table",
  dims: [vocabulary.length, 4],
  values: [...vectorByWord, ...letterVectors, ...letterVectors].flat(),
};

/** What a model of labels adds for each word: the logit of label c gets it c + 1 times. */
export const scoreByWord = [50, 0, 0, 0, 1, -1, 0.5, 2] as const;
const allScores = [...scoreByWord, ...alphabet.map(() => 0), ...alphabet.map(() => 0)];

type Files = Readonly<Record<string, string | Buffer | object>>;

/** Writes files, objects as JSON. */
export function writeFiles(folder: string, files: Files): string {
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    const isRaw = typeof content === "string" || Buffer.isBuffer(content);
    writeFileSync(path, isRaw ? content : JSON.stringify(content));
  }
  return folder;
}

/** A tokenizer of words and letters, in the library's form, that frames a text as BERT does. */
const textTokenizer: Files = {
  "tokenizer.json": {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: words.slice(0, 4).map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: { type: "Whitespace" },
    post_processor: { type: "BertProcessing", sep: ["[SEP]", 3], cls: ["[CLS]", 2] },
    decoder: null,
    model: {
      type: "WordPiece",
      vocab: Object.fromEntries(vocabulary.map((word, id) => [word, id])),
      unk_token: "[UNK]",
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
    },
  },
  "tokenizer_config.json": {
    tokenizer_class: "BertTokenizer",
    model_max_length: contextTokens,
    pad_token: "[PAD]",
    unk_token: "[UNK]",
    cls_token: "[CLS]",
    sep_token: "[SEP]",
  },
};

const textInputs = ["input_ids", "attention_mask", "token_type_ids"].map(
  (name) => ({ name, dims: ["batch", "length"], type: "int64" }) as const,
);

const bertConfig = {
  model_type: "bert",
  vocab_size: vocabulary.length,
  max_position_embeddings: contextTokens,
  pad_token_id: 0,
};

/** A model of the kind of sentence-transformers: mean of the words' rows, to unit length. */
export function writeEmbedder(folder: string, more: Files = {}): string {
  return writeFiles(folder, {
    ...textTokenizer,
    "config.json": { ...bertConfig, architectures: ["BertModel"], hidden_size: 4 },
    "1_Pooling/config.json": { pooling_mode_mean_tokens: true, pooling_mode_cls_token: false },
    "modules.json": [
      { idx: 0, name: "0", path: "", type: "sentence_transformers.models.Transformer" },
      { idx: 1, name: "1", path: "1_Pooling", type: "sentence_transformers.models.Pooling" },
      { idx: 2, name: "2", path: "2_Normalize", type: "sentence_transformers.models.Normalize" },
    ],
    "onnx/model.onnx": onnxModel(embedderGraph(table)),
    ...more,
  });
}

/** The embedder with vectors of half precision, as models of that form have them. */
export function writeHalfEmbedder(folder: string): string {
  const { steps, outputs, ...rest } = embedderGraph(table);
  const [gather] = steps;
  const [output] = outputs;
  if (gather === undefined || output === undefined) throw new Error("the embedder has no steps");
  return writeEmbedder(folder, {
    "onnx/model.onnx": onnxModel({
      ...rest,
      outputs: [{ ...output, type: "float16" }],
      steps: [
        { ...gather, outputs: ["rows"] },
        { operator: "Cast", inputs: ["rows"], outputs: [output.name], attributes: { to: 10 } },
      ],
    }),
  });
}

/** The embedder with its table in a file beside the model. */
export function writeExternalEmbedder(folder: string, external = "model.onnx_data"): string {
  const outside = { ...table, external };
  return writeEmbedder(folder, {
    "onnx/model.onnx": onnxModel(embedderGraph(outside)),
    "onnx/model.onnx_data": tensorData(table),
  });
}

function embedderGraph(table: GraphTensor): Graph {
  return {
    inputs: textInputs,
    outputs: [{ name: "last_hidden_state", dims: ["batch", "length", 4], type: "float" }],
    constants: [table],
    steps: [{ operator: "Gather", inputs: ["table", "input_ids"], outputs: ["last_hidden_state"] }],
  };
}

/** The width and depth of a model whose computing takes a while. */
const slow = { width: 512, layers: 40 } as const;

/** An embedder that multiplies by one matrix again and again, which changes nothing. */
export function writeSlowEmbedder(folder: string): string {
  const { width, layers } = slow;
  const rows = vocabulary.flatMap((_, id) =>
    Array.from({ length: width }, (__, at) => +(at === id)),
  );
  const same = Array.from({ length: width * width }, (_, at) => +(at % (width + 1) === 0));
  const steps: GraphStep[] = [
    { operator: "Gather", inputs: ["table", "input_ids"], outputs: ["0"] },
  ];
  for (let layer = 0; layer < layers; layer++) {
    const output = layer === layers - 1 ? "last_hidden_state" : `${layer + 1}`;
    steps.push({ operator: "MatMul", inputs: [`${layer}`, "same"], outputs: [output] });
  }
  return writeEmbedder(folder, {
    "onnx/model.onnx": onnxModel({
      inputs: textInputs,
      outputs: [{ name: "last_hidden_state", dims: ["batch", "length", width], type: "float" }],
      constants: [
        { name: "table", dims: [vocabulary.length, width], values: rows },
        { name: "same", dims: [width, width], values: same },
      ],
      steps,
    }),
  });
}

/** A model that sums what its words add: one class is a cross-encoder, more are labels. */
export function writeClassifier(folder: string, labels: readonly string[], more = {}): string {
  const classes = labels.length;
  const rows = allScores.flatMap((score) => labels.map((_, at) => score * (at + 1)));
  const steps: GraphStep[] = [
    { operator: "Gather", inputs: ["table", "input_ids"], outputs: ["rows"] },
    { operator: "Cast", inputs: ["attention_mask"], outputs: ["mask"], attributes: { to: 1 } },
    { operator: "Unsqueeze", inputs: ["mask", "last"], outputs: ["column"] },
    { operator: "Mul", inputs: ["rows", "column"], outputs: ["kept"] },
    {
      operator: "ReduceSum",
      inputs: ["kept", "middle"],
      outputs: ["logits"],
      attributes: { keepdims: 0 },
    },
  ];
  return writeFiles(folder, {
    ...textTokenizer,
    "config.json": {
      ...bertConfig,
      architectures: ["BertForSequenceClassification"],
      id2label: Object.fromEntries(labels.map((label, at) => [at, label])),
      ...more,
    },
    "onnx/model.onnx": onnxModel({
      inputs: textInputs,
      outputs: [{ name: "logits", dims: ["batch", classes], type: "float" }],
      constants: [
        { name: "table", dims: [vocabulary.length, classes], values: rows },
        { name: "last", dims: [1], values: [2], type: "int64" },
        { name: "middle", dims: [1], values: [1], type: "int64" },
      ],
      steps,
    }),
  });
}

/** The letters of the speech model, each at the id of its place. */
export const letters = ["<pad>", "<unk>", "|", "o", "c", "t", "h", "e", "l"] as const;

/** A frame of 20 ms at 16 kHz, as wav2vec2 has them. */
const frameSamples = 320;
const rate = 16_000;

/** The tone of a letter: whole waves in a frame, so that tones do not disturb each other. */
export function toneHz(letter: string): number {
  const id = letters.findIndex((one) => one === letter);
  if (id < 2) throw new Error(`Cannot sound ${JSON.stringify(letter)}: the model does not know it`);
  return 200 * (id + 1);
}

/**
 * A model in the shape of wav2vec2 with CTC that hears one tone a letter: a frame's logit of a
 * letter is the energy at its tone, and the blank's is that of a quiet one.
 */
export function writeListener(folder: string): string {
  const filters: number[] = [];
  for (const wave of [Math.cos, Math.sin]) {
    for (const [id] of letters.entries()) {
      for (let at = 0; at < frameSamples; at++) {
        const angle = (2 * Math.PI * 200 * (id + 1) * at) / rate;
        filters.push(id < 2 ? 0 : wave(angle) / frameSamples);
      }
    }
  }
  const half = [letters.length, 1, frameSamples];
  const perFilter = letters.length * frameSamples;
  const conv = { attributes: { strides: [frameSamples], kernel_shape: [frameSamples] } };
  const steps: GraphStep[] = [
    { operator: "Unsqueeze", inputs: ["input_values", "one"], outputs: ["wave"] },
    { operator: "Conv", inputs: ["wave", "cosines", "bias"], outputs: ["re"], ...conv },
    { operator: "Conv", inputs: ["wave", "sines"], outputs: ["im"], ...conv },
    { operator: "Mul", inputs: ["re", "re"], outputs: ["re2"] },
    { operator: "Mul", inputs: ["im", "im"], outputs: ["im2"] },
    { operator: "Add", inputs: ["re2", "im2"], outputs: ["energy"] },
    {
      operator: "Transpose",
      inputs: ["energy"],
      outputs: ["logits"],
      attributes: { perm: [0, 2, 1] },
    },
  ];
  return writeFiles(folder, {
    ...speechTokenizer,
    "config.json": {
      model_type: "wav2vec2",
      architectures: ["Wav2Vec2ForCTC"],
      vocab_size: letters.length,
      pad_token_id: 0,
      conv_stride: [5, 2, 2, 2, 2, 2, 2],
    },
    "preprocessor_config.json": {
      feature_extractor_type: "Wav2Vec2FeatureExtractor",
      feature_size: 1,
      sampling_rate: rate,
      do_normalize: false,
      padding_value: 0,
    },
    "onnx/model.onnx": onnxModel({
      inputs: [{ name: "input_values", dims: ["batch", "samples"], type: "float" }],
      outputs: [{ name: "logits", dims: ["batch", "frames", letters.length], type: "float" }],
      constants: [
        { name: "cosines", dims: half, values: filters.slice(0, perFilter) },
        { name: "sines", dims: half, values: filters.slice(perFilter) },
        // What is quieter than a fifth of full loudness is the blank.
        { name: "bias", dims: [letters.length], values: letters.map((_, id) => (id ? 0 : 0.1)) },
        { name: "one", dims: [1], values: [1], type: "int64" },
      ],
      steps,
    }),
  });
}

const speechTokenizer: Files = {
  "tokenizer.json": {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: letters.slice(0, 2).map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: { type: "Replace", pattern: { String: " " }, content: "|" },
    pre_tokenizer: { type: "Split", pattern: { Regex: "" }, behavior: "Isolated", invert: false },
    post_processor: null,
    decoder: { type: "CTC", pad_token: "<pad>", word_delimiter_token: "|", cleanup: true },
    model: {
      type: "WordLevel",
      vocab: Object.fromEntries(letters.map((letter, id) => [letter, id])),
      unk_token: "<unk>",
    },
  },
  "tokenizer_config.json": {
    tokenizer_class: "Wav2Vec2CTCTokenizer",
    pad_token: "<pad>",
    unk_token: "<unk>",
    word_delimiter_token: "|",
  },
};
