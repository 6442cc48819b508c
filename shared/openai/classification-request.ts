import { z } from "zod";
import { octoOptionsSchema } from "./octo-options.ts";

/** As many as an embeddings request may hold. */
const inputsMax = 2048;

/** The body of `POST /v1/classify`, in the shape vLLM and Infinity serve. */
export const classificationRequestSchema = z.looseObject({
  model: z.string().min(1).max(200),
  input: z.union([z.string().min(1), z.array(z.string().min(1)).min(1).max(inputsMax)]),
  user: z.string().max(512).nullish(),
  octo: octoOptionsSchema.nullish(),
});

export type ClassificationRequest = z.infer<typeof classificationRequestSchema>;
