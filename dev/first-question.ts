import OpenAI from "openai";
import { z } from "zod";
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

const listedSchema = z.object({
  id: z.string(),
  octo: z.object({ abilities: z.array(z.string()) }),
});

/** The first model of this network that chats, under the name it is listed as. */
export async function firstChatModel(network: Network): Promise<string | null> {
  const client = new OpenAI({ baseURL: `${network.url}/v1`, apiKey: network.consumer.apiKey });
  const models = z.array(listedSchema).parse((await client.models.list()).data);
  return models.find(({ octo }) => octo.abilities.includes("chat"))?.id ?? null;
}
