/** An event stream as a server sends it. */
export interface Reply {
  readonly pieces: readonly string[];
  /** Milliseconds from one piece to the next; 0 sends all at once. */
  readonly everyMs: number;
}

/** A POST that is answered by an event stream. */
export interface StreamRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** The answer to a request, in the pieces in which it arrives. */
export async function recordPieces({ url, headers, body }: StreamRequest): Promise<string[]> {
  const response = await fetch(url, { method: "POST", headers, body });
  if (!response.ok || response.body === null) {
    throw new Error(`the edge answered ${response.status}: ${await response.text()}`);
  }
  const pieces: string[] = [];
  const decoder = new TextDecoder();
  for await (const chunk of response.body) pieces.push(decoder.decode(chunk, { stream: true }));
  return pieces;
}
