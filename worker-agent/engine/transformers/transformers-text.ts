import type { PreTrainedModel, PreTrainedTokenizer, Tensor } from "@huggingface/transformers";
import type { Pooling } from "../../models/folder-source.ts";
import { EngineError } from "../engine.ts";
import { toUnit } from "./transformers-scores.ts";
import type { ThreadSetup } from "./transformers-thread.ts";

type Library = typeof import("@huggingface/transformers");

/** A text as the model reads it. */
export interface Encoded {
  readonly ids: readonly number[];
  /** Which of two texts a token belongs to, for models that are told. */
  readonly types: readonly number[] | null;
}

interface Encoding {
  readonly input_ids: number[];
  readonly token_type_ids?: number[];
}

/** A model that turns each text into one row of numbers: a vector, or the logits of its labels. */
export class TextModel {
  readonly #library: Library;
  readonly #tokenizer: PreTrainedTokenizer;
  readonly #model: PreTrainedModel;
  readonly #setup: ThreadSetup;

  private constructor(
    library: Library,
    setup: ThreadSetup,
    loaded: { readonly tokenizer: PreTrainedTokenizer; readonly model: PreTrainedModel },
  ) {
    this.#library = library;
    this.#setup = setup;
    this.#tokenizer = loaded.tokenizer;
    this.#model = loaded.model;
  }

  static async load(library: Library, setup: ThreadSetup): Promise<TextModel> {
    const tokenizer = await library.AutoTokenizer.from_pretrained(setup.folder, localOnly);
    const options = loadOptions(setup);
    const model =
      setup.task === "embeddings"
        ? await library.AutoModel.from_pretrained(setup.folder, options)
        : await library.AutoModelForSequenceClassification.from_pretrained(setup.folder, options);
    return new TextModel(library, setup, { tokenizer, model });
  }

  tokenize(texts: readonly string[]): Encoded[] {
    return texts.map((text) => this.#encode(text, {}));
  }

  tokenizePairs(query: string, texts: readonly string[]): Encoded[] {
    return texts.map((text) => this.#encode(query, { text_pair: text }));
  }

  tokenizePlain(text: string): number[] {
    return [...this.#encode(text, { add_special_tokens: false }).ids];
  }

  async rows(items: readonly Encoded[]): Promise<Float32Array[]> {
    const length = Math.max(...items.map(({ ids }) => ids.length));
    const output: unknown = await this.#model(this.#inputs(items, length));
    const lengths = items.map(({ ids }) => ids.length);
    const rows = this.#rowsOf(output as Record<string, Tensor | undefined>, lengths);
    for (const row of rows) {
      if (row.length > 0 && row.every(Number.isFinite)) continue;
      throw new EngineError("engine_failed", "The model answered with what is no number");
    }
    return rows;
  }

  #encode(text: string, more: Record<string, unknown>): Encoded {
    const encoding = this.#tokenizer(text, { return_tensor: false, ...more }) as Encoding;
    return { ids: encoding.input_ids, types: encoding.token_type_ids ?? null };
  }

  /** Shorter texts are filled up at their end; the mask says so. */
  #inputs(items: readonly Encoded[], length: number): Record<string, Tensor> {
    const cells = items.length * length;
    const ids = new BigInt64Array(cells).fill(BigInt(this.#tokenizer.pad_token_id ?? 0));
    const mask = new BigInt64Array(cells);
    const types = new BigInt64Array(cells);
    for (const [row, item] of items.entries()) {
      for (const [at, id] of item.ids.entries()) {
        ids[row * length + at] = BigInt(id);
        mask[row * length + at] = 1n;
        types[row * length + at] = BigInt(item.types?.[at] ?? 0);
      }
    }
    const tensor = (data: BigInt64Array): Tensor =>
      new this.#library.Tensor("int64", data, [items.length, length]);
    const inputs = { input_ids: tensor(ids), attention_mask: tensor(mask) };
    const hasTypes = items.some((item) => item.types !== null);
    return hasTypes ? { ...inputs, token_type_ids: tensor(types) } : inputs;
  }

  #rowsOf(output: Record<string, Tensor | undefined>, lengths: readonly number[]): Float32Array[] {
    const { task, pooling, isNormalized } = this.#setup;
    if (task !== "embeddings") return split(output["logits"], lengths.length);
    const finish = (row: Float32Array): Float32Array => (isNormalized ? toUnit(row) : row);
    const whole = output["sentence_embedding"];
    if (whole !== undefined) return split(whole, lengths.length).map(finish);
    const states = output["last_hidden_state"] ?? output["token_embeddings"];
    return split(states, lengths.length).map((tokens, row) => {
      const width = states?.dims.at(-1) ?? 0;
      return finish(pool(tokens, { width, length: lengths[row] ?? 0, pooling }));
    });
  }
}

/** What every part of a model is loaded with: files of this disk alone. */
export const localOnly = { local_files_only: true } as const;

export function loadOptions({ subfolder, dtype, threads }: ThreadSetup) {
  const session_options = { intraOpNumThreads: threads, interOpNumThreads: 1 };
  return { ...localOnly, subfolder, dtype, device: "cpu", session_options } as const;
}

/** The vectors of a text's tokens as one; those behind its length are padding. */
export function pool(
  tokens: Float32Array,
  { width, length, pooling }: { width: number; length: number; pooling: Pooling },
): Float32Array {
  if (pooling === "cls") return tokens.slice(0, width);
  if (pooling === "last") return tokens.slice((length - 1) * width, length * width);
  const sum = new Float64Array(width);
  for (let token = 0; token < length; token++) {
    const row = tokens.subarray(token * width, (token + 1) * width);
    for (const [at, value] of row.entries()) sum[at] = (sum[at] ?? 0) + value;
  }
  return Float32Array.from(sum, (value) => value / length);
}

/** A tensor's rows along its first dimension. */
function split(tensor: Tensor | undefined, rows: number): Float32Array[] {
  if (tensor === undefined || tensor.dims[0] !== rows) {
    throw new EngineError("engine_failed", "The model's graph gives no output of the right form");
  }
  const data = floatsOf(tensor);
  const width = data.length / rows;
  return Array.from({ length: rows }, (_, row) => data.slice(row * width, (row + 1) * width));
}

/** Half precision comes as raw bits where the runtime knows no such arrays: Node before 24. */
export function floatsOf({ type, data }: Tensor): Float32Array {
  const values = data as Float32Array;
  if (type !== "float16") return Float32Array.from(values);
  const bits = new Uint16Array(values.buffer, values.byteOffset, values.length);
  return Float32Array.from(bits, halfToNumber);
}

/** A number of IEEE 754's binary16 from its bits. */
export function halfToNumber(bits: number): number {
  const sign = bits >= 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = (bits & 1023) / 1024;
  if (exponent === 0) return sign * fraction * 2 ** -14;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : Number.NaN;
  return sign * (1 + fraction) * 2 ** (exponent - 15);
}
