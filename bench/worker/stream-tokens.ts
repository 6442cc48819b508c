/** Streams one completion from an edge as any client would; gives the tokens it was billed. */
export async function streamTokens(url: string, apiKey: string, body: string): Promise<number> {
  const headers = { authorization: `Bearer ${apiKey}`, "content-type": "application/json" };
  const response = await fetch(`${url}/v1/completions`, { method: "POST", headers, body });
  if (!response.ok || response.body === null) {
    throw new Error(`the edge answered ${response.status}: ${await response.text()}`);
  }
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of response.body) text += decoder.decode(chunk, { stream: true });
  const counted = /"completion_tokens":(\d+)/.exec(text)?.[1];
  if (counted === undefined) throw new Error(`the stream tells no usage: ${text.slice(-300)}`);
  return Number(counted);
}
