export interface Message {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** What a model is asked beside the messages. */
export interface Asking {
  readonly model: string;
  readonly maxTokens: number | null;
  readonly temperature: number | null;
  readonly strategy: string | null;
  /** The answer is made to the end though nobody reads. */
  readonly resume: boolean;
}

/** The body of a chat request that streams. */
export function chatBody(asking: Asking, messages: readonly Message[]): Record<string, unknown> {
  const octo = {
    ...(asking.strategy === null ? {} : { strategy: asking.strategy }),
    ...(asking.resume ? { resume: true } : {}),
  };
  return {
    model: asking.model,
    messages,
    stream: true,
    stream_options: { include_usage: true },
    ...(asking.maxTokens === null ? {} : { max_tokens: asking.maxTokens }),
    ...(asking.temperature === null ? {} : { temperature: asking.temperature }),
    ...(Object.keys(octo).length === 0 ? {} : { octo }),
  };
}

/** What was said so far, as a page: Markdown, or the API's messages where a program reads. */
export function savedConversation(messages: readonly Message[], isJson: boolean): string {
  if (isJson) return `${JSON.stringify({ messages }, null, 2)}\n`;
  const names = { system: "System", user: "You", assistant: "Model" } as const;
  return messages.map(({ role, content }) => `**${names[role]}**\n\n${content}\n`).join("\n");
}
