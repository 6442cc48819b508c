import { z } from "zod";
import { errorRules } from "../../shared/errors.ts";
import { finishReasons, tokenLogprobSchema } from "../../shared/openai/output.ts";

/**
 * The answers whose shape is OpenAI's. A test holds them against OpenAI's own published schemas.
 */

const count = z.int().min(0);
const finishReason = z.enum(finishReasons);

const head = {
  id: z.string(),
  created: z.int().meta({ description: "Seconds since 1970" }),
  model: z.string(),
  system_fingerprint: z.string().meta({ description: "Equal for answers of the same weights" }),
};

export const usageAnswerSchema = z
  .object({ prompt_tokens: count, completion_tokens: count, total_tokens: count })
  .meta({ id: "Usage", description: "Tokens that were really used." });

const toolCall = z
  .object({
    id: z.string(),
    type: z.literal("function"),
    function: z.object({ name: z.string(), arguments: z.string() }),
  })
  .meta({ id: "ToolCall" });

const chatLogprobs = z
  .object({ content: z.array(tokenLogprobSchema), refusal: z.null() })
  .meta({ id: "ChatLogprobs" });

export const chatAnswerSchema = z
  .object({
    ...head,
    object: z.literal("chat.completion"),
    choices: z.array(
      z.object({
        index: count,
        message: z.object({
          role: z.literal("assistant"),
          content: z.string().nullable(),
          refusal: z.null(),
          reasoning_content: z.string().optional(),
          tool_calls: z.array(toolCall).optional(),
        }),
        logprobs: chatLogprobs.nullable(),
        finish_reason: finishReason,
      }),
    ),
    usage: usageAnswerSchema,
  })
  .meta({
    id: "ChatCompletion",
    examples: [
      {
        id: "chatcmpl-3Xafpn9wGfX2qy5xQEGWtP",
        object: "chat.completion",
        created: 1793871000,
        model: "octo-tiny",
        system_fingerprint: "fp_0123456789ab",
        choices: [
          {
            index: 0,
            message: { role: "assistant", content: "Hello!", refusal: null },
            logprobs: null,
            finish_reason: "stop",
          },
        ],
        usage: { prompt_tokens: 9, completion_tokens: 2, total_tokens: 11 },
      },
    ],
  });

const toolCallDelta = z.object({
  index: count,
  id: z.string().optional(),
  type: z.literal("function").optional(),
  function: z.object({ name: z.string().optional(), arguments: z.string().optional() }),
});

export const errorSchema = z
  .object({
    error: z.object({
      message: z.string(),
      type: z.string(),
      param: z.string().nullable().meta({ description: "The request's field at fault" }),
      code: z.enum(Object.keys(errorRules)),
    }),
  })
  .meta({
    id: "Error",
    examples: [
      {
        error: {
          message: "The model octo-huge is not offered; the network offers octo-tiny",
          type: "invalid_request_error",
          param: "model",
          code: "model_not_found",
        },
      },
    ],
  });

/** A stream that breaks off says so in its last event, which is not followed by `[DONE]`. */
const brokenOff = { error: errorSchema.shape.error.optional() };
const eventFinish = z.enum([...finishReasons, "error"]).nullable();

export const chatEventSchema = z
  .object({
    ...head,
    system_fingerprint: z.string().optional(),
    object: z.literal("chat.completion.chunk"),
    choices: z.array(
      z.object({
        index: count,
        delta: z.object({
          role: z.literal("assistant").optional(),
          content: z.string().nullable().optional(),
          reasoning_content: z.string().optional(),
          tool_calls: z.array(toolCallDelta).optional(),
        }),
        logprobs: chatLogprobs.nullable(),
        finish_reason: eventFinish,
      }),
    ),
    usage: usageAnswerSchema.nullable().optional(),
    ...brokenOff,
  })
  .meta({ id: "ChatCompletionChunk" });

const completionLogprobs = z
  .object({
    tokens: z.array(z.string()),
    token_logprobs: z.array(z.number()),
    top_logprobs: z.array(z.record(z.string(), z.number())),
  })
  .meta({ id: "CompletionLogprobs" });

function completionChoice<Reason extends z.ZodType>(reason: Reason) {
  return z.object({
    index: count,
    text: z.string(),
    logprobs: completionLogprobs.nullable(),
    finish_reason: reason,
  });
}

export const completionAnswerSchema = z
  .object({
    ...head,
    object: z.literal("text_completion"),
    choices: z.array(completionChoice(finishReason)),
    usage: usageAnswerSchema,
  })
  .meta({ id: "Completion" });

export const completionEventSchema = z
  .object({
    ...head,
    system_fingerprint: z.string().optional(),
    object: z.literal("text_completion"),
    choices: z.array(completionChoice(eventFinish)),
    usage: usageAnswerSchema.nullable().optional(),
    ...brokenOff,
  })
  .meta({ id: "CompletionChunk" });

export const modelSchema = z
  .object({
    id: z.string(),
    object: z.literal("model"),
    created: z.int(),
    owned_by: z.string(),
    octo: z
      .object({
        digest: z.string().meta({ description: "Of the weights: can be asked for as `model`" }),
        architecture: z.string(),
        quantization: z.string(),
        identity: z.enum(["content", "declared"]).meta({
          description: "Whether its workers have read the files behind the digest",
        }),
        bits_per_weight: z.number().nullable(),
        parameter_count: count,
        context_tokens: count,
        input_micros_per_million: count,
        output_micros_per_million: count,
        abilities: z.array(z.string()),
        regions: z.array(z.string()),
        workers: count,
        slots: count,
        free_slots: count,
        declared: z
          .object({
            first_token_ms: z.number(),
            prompt_tokens_per_s: z.number(),
            decode_tokens_per_s: z.number(),
          })
          .nullable()
          .meta({ description: "Speed by the workers' own word; nothing is routed by it" }),
        measured: z
          .object({
            first_token_ms: z.number().nullable(),
            decode_tokens_per_s: z.number().nullable(),
            success_share: z.number(),
            samples: count,
          })
          .nullable()
          .meta({ description: "Speed as the hubs have measured it; null before any answer" }),
      })
      .meta({ description: "What the network offers of it now; prices are the lowest" }),
  })
  .meta({ id: "Model" });

export const modelListSchema = z
  .object({ object: z.literal("list"), data: z.array(modelSchema) })
  .meta({ id: "ModelList" });
