import { z } from "zod";
import { completionTokenLimit, samplingFields } from "./sampling.ts";

const textPart = z.strictObject({ type: z.literal("text"), text: z.string() });
const imagePart = z.strictObject({
  type: z.literal("image_url"),
  image_url: z.strictObject({
    url: z.string().min(1),
    detail: z.enum(["auto", "low", "high"]).optional(),
  }),
});
const audioPart = z.strictObject({
  type: z.literal("input_audio"),
  input_audio: z.strictObject({ data: z.string().min(1), format: z.enum(["wav", "mp3"]) }),
});
const refusalPart = z.strictObject({ type: z.literal("refusal"), refusal: z.string() });

const textContent = z.union([z.string(), z.array(textPart).min(1)]);
const name = z.string().max(64).optional();

const toolCall = z.strictObject({
  id: z.string().min(1),
  type: z.literal("function"),
  function: z.strictObject({ name: z.string().min(1), arguments: z.string() }),
});

const systemMessage = z.strictObject({
  role: z.enum(["system", "developer"]),
  content: textContent,
  name,
});
const userMessage = z.strictObject({
  role: z.literal("user"),
  content: z.union([z.string(), z.array(z.union([textPart, imagePart, audioPart])).min(1)]),
  name,
});
const assistantMessage = z
  .strictObject({
    role: z.literal("assistant"),
    content: z.union([z.string(), z.array(z.union([textPart, refusalPart])).min(1)]).nullish(),
    refusal: z.string().nullish(),
    name,
    tool_calls: z.array(toolCall).min(1).optional(),
    // Sent back by clients that echo our answers whole; they carry nothing a model reads.
    audio: z.null().optional(),
    function_call: z.null().optional(),
    annotations: z.array(z.unknown()).nullish(),
  })
  .refine(
    (message) => (message.content ?? message.tool_calls ?? message.refusal ?? null) !== null,
    {
      message: "an assistant message has content, a refusal or tool_calls",
    },
  );
const toolMessage = z.strictObject({
  role: z.literal("tool"),
  content: textContent,
  tool_call_id: z.string().min(1),
});

export const chatMessageSchema = z.discriminatedUnion("role", [
  systemMessage,
  userMessage,
  assistantMessage,
  toolMessage,
]);
export type ChatMessage = z.infer<typeof chatMessageSchema>;

const jsonSchemaSchema = z.record(z.string(), z.unknown());

const responseFormat = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("text") }),
  z.strictObject({ type: z.literal("json_object") }),
  z.strictObject({
    type: z.literal("json_schema"),
    json_schema: z.strictObject({
      name: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/),
      description: z.string().optional(),
      schema: jsonSchemaSchema.optional(),
      strict: z.boolean().nullish(),
    }),
  }),
]);

const toolSchema = z.strictObject({
  type: z.literal("function"),
  function: z.strictObject({
    name: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/),
    description: z.string().optional(),
    parameters: jsonSchemaSchema.optional(),
    strict: z.boolean().nullish(),
  }),
});

const toolChoice = z.union([
  z.enum(["none", "auto", "required"]),
  z.strictObject({
    type: z.literal("function"),
    function: z.strictObject({ name: z.string().min(1) }),
  }),
]);

/**
 * The body of `POST /v1/chat/completions`. Fields named here are honoured or, where
 * `shared/openai/demands.ts` says so, accepted without effect or refused by name. A field not named
 * here is passed to engines that know it.
 */
export const chatRequestSchema = z.looseObject({
  ...samplingFields,
  messages: z.array(chatMessageSchema).min(1).max(4096),
  max_completion_tokens: completionTokenLimit,
  response_format: responseFormat.nullish(),
  tools: z.array(toolSchema).max(128).nullish(),
  tool_choice: toolChoice.nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
});

export type ChatRequest = z.infer<typeof chatRequestSchema>;
