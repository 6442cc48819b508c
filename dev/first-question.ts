import OpenAI from "openai";
import type { Network } from "./network.ts";

export const firstQuestion = "What is this?";

/**
 * Asks the network one question, as any OpenAI client would, and shows the answer as it streams.
 */
export async function askFirstQuestion(
  network: Network,
  model: string,
  write: (text: string) => void,
): Promise<void> {
  const client = new OpenAI({
    baseURL: `${network.url}/v1`,
    apiKey: network.consumer.apiKey,
    maxRetries: 2,
  });
  const stream = await client.chat.completions.create({
    model,
    messages: [{ role: "user", content: firstQuestion }],
    max_tokens: 120,
    temperature: 0,
    stream: true,
  });
  for await (const chunk of stream) write(chunk.choices[0]?.delta.content ?? "");
}

/** The model this network lists, under the name it is listed as. */
export async function firstModel(network: Network): Promise<string | null> {
  const client = new OpenAI({ baseURL: `${network.url}/v1`, apiKey: network.consumer.apiKey });
  const models = await client.models.list();
  return models.data[0]?.id ?? null;
}
