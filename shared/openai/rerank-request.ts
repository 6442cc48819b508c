import { z } from "zod";
import { octoOptionsSchema } from "./octo-options.ts";

/** More documents than a search returns in one page serve nobody and hold a slot for minutes. */
const documentsMax = 1000;

const document = z.union([
  z.string().min(1),
  z.strictObject({ text: z.string().min(1) }).transform(({ text }) => text),
]);

/** The body of `POST /v1/rerank`, in the shape Cohere, Jina, vLLM and llama-server share. */
export const rerankRequestSchema = z.looseObject({
  model: z.string().min(1).max(200),
  query: z.string().min(1),
  documents: z.array(document).min(1).max(documentsMax),
  top_n: z.int().min(1).nullish(),
  return_documents: z.boolean().nullish(),
  user: z.string().max(512).nullish(),
  octo: octoOptionsSchema.nullish(),
});

export type RerankRequest = z.infer<typeof rerankRequestSchema>;
