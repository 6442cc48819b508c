import { z } from "zod";
import type { FolderTask, Pooling } from "./folder-source.ts";

/*
 * What the JSON files of a model's folder say, in the forms that Hugging Face's libraries write.
 * Every field may be missing: old models have few of them.
 */

const count = z.number().int().positive().nullish();

export const configSchema = z.looseObject({
  model_type: z.string().nullish(),
  architectures: z.array(z.string()).nullish(),
  max_position_embeddings: count,
  pad_token_id: z.number().int().nullish(),
  id2label: z.record(z.string(), z.string()).nullish(),
  problem_type: z.string().nullish(),
  matryoshka_dimensions: z.array(z.number().int().positive()).nullish(),
});
export type ModelConfig = z.infer<typeof configSchema>;

/** tokenizer_config.json. A length above any model's says that there is none. */
export const tokenizerConfigSchema = z.looseObject({ model_max_length: z.number().nullish() });

/** sentence_bert_config.json of sentence-transformers. */
export const sentenceConfigSchema = z.looseObject({ max_seq_length: count });

/** modules.json of sentence-transformers: the steps from text to vector. */
export const modulesSchema = z.array(z.looseObject({ type: z.string() }));

/** config_sentence_transformers.json. */
export const kindSchema = z.looseObject({
  model_type: z.string().nullish(),
  matryoshka_dimensions: z.array(z.number().int().positive()).nullish(),
});

/** 1_Pooling/config.json of sentence-transformers. */
export const poolingSchema = z.looseObject({
  pooling_mode: z.string().nullish(),
  pooling_mode_cls_token: z.boolean().nullish(),
  pooling_mode_mean_tokens: z.boolean().nullish(),
  pooling_mode_lasttoken: z.boolean().nullish(),
});

/** What the files of a folder say of the model; null where the file is missing. */
export interface FolderFacts {
  readonly config: ModelConfig;
  readonly tokenizer: z.infer<typeof tokenizerConfigSchema> | null;
  readonly sentence: z.infer<typeof sentenceConfigSchema> | null;
  readonly modules: z.infer<typeof modulesSchema> | null;
  readonly kind: z.infer<typeof kindSchema> | null;
  readonly pooling: z.infer<typeof poolingSchema> | null;
}

/** The task the files tell, or null where they leave it open. */
export function taskOf({ config, kind, modules, pooling }: FolderFacts): FolderTask | null {
  const architecture = config.architectures?.[0] ?? "";
  if (architecture.endsWith("ForSequenceClassification")) {
    const isPairs = kind?.model_type === "CrossEncoder" || labelsOf(config).length === 1;
    return isPairs ? "rerank" : "classification";
  }
  if (architecture.endsWith("ForCTC") || isSpeechWriter(config)) return "transcription";
  const isSentenceModel = pooling !== null || modules !== null;
  return isSentenceModel || architecture.endsWith("Model") ? "embeddings" : null;
}

/** Speech models that write text with a decoder of their own, in two graphs. */
export function isSpeechWriter(config: ModelConfig): boolean {
  return ["whisper", "lite-whisper", "moonshine"].includes(config.model_type ?? "");
}

/** Labels in the order of the logits. transformers names two where a file names none. */
export function labelsOf(config: ModelConfig): string[] {
  const named = Object.entries(config.id2label ?? {});
  if (named.length === 0) return ["LABEL_0", "LABEL_1"];
  return named.toSorted(([a], [b]) => Number(a) - Number(b)).map(([, label]) => label);
}

/** These count positions from behind the padding token's id on. */
const offsetPositions = new Set(["roberta", "xlm-roberta", "camembert", "mpnet", "longformer"]);

/** The longest text in tokens, special ones included; null where no file tells. */
export function contextOf({ config, tokenizer, sentence }: FolderFacts): number | null {
  const isOffset = offsetPositions.has(config.model_type ?? "");
  const lost = isOffset ? (config.pad_token_id ?? 1) + 1 : 0;
  const positions = config.max_position_embeddings;
  const limits = [
    positions ? positions - lost : Infinity,
    tokenizer?.model_max_length ?? Infinity,
    sentence?.max_seq_length ?? Infinity,
  ].filter((limit) => limit > 0 && limit < 100_000_000);
  return limits.length === 0 ? null : Math.floor(Math.min(...limits));
}

/** How the model pools, or null where no file tells or it pools in another way. */
export function poolingOf({ pooling }: FolderFacts): Pooling | null {
  const named = pooling?.pooling_mode;
  if (pooling?.pooling_mode_cls_token === true || named === "cls") return "cls";
  if (pooling?.pooling_mode_mean_tokens === true || named === "mean") return "mean";
  if (pooling?.pooling_mode_lasttoken === true || named === "lasttoken") return "last";
  return null;
}

/** Whether vectors have unit length: what a list of steps says, else yes, as OpenAI's have. */
export function isNormalized({ modules }: FolderFacts): boolean {
  return modules?.some(({ type }) => type.endsWith("Normalize")) ?? true;
}

/** The shorter lengths its vectors were trained to be cut to. */
export function shorterLengths({ config, kind }: FolderFacts): number[] {
  return config.matryoshka_dimensions ?? kind?.matryoshka_dimensions ?? [];
}
