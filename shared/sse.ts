/** One event of a stream (WHATWG HTML, section 9.2 "Server-sent events"). */
export interface SseEvent {
  /** `message` where the server names none. */
  readonly name: string;
  readonly data: string;
}

/** No event of a generation is near it; a server that never ends a line must not fill memory. */
const eventCharsMax = 8 * 1024 * 1024;

/** Bytes that are no event stream: half a character, or a line without an end. */
export class SseError extends Error {
  override readonly name = "SseError";
}

/**
 * Reads server-sent events from bytes that come in any pieces: `\n`, `\r\n` and `\r` end lines,
 * comments are skipped, several `data` lines are one event, and a piece may end inside a character.
 */
export class SseReader {
  readonly #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false });
  /** The pieces of a line whose end has not come yet: joined once, however many they are. */
  #pieces: string[] = [];
  #chars = 0;
  #isAfterReturn = false;
  #data: string[] = [];
  #name = "";
  #id = "";
  #lastEventId = "";

  /** The id of the last whole event, or of one before it where that had none; empty at first. */
  get lastEventId(): string {
    return this.#lastEventId;
  }

  /** The events that end within these bytes. Throws SseError. */
  push(bytes: Uint8Array): SseEvent[] {
    return this.#read(this.#decode(bytes));
  }

  /**
   * The stream has ended: an event that lacks only its empty line is given too, because some
   * servers leave that out. Throws SseError where it ended inside a character.
   */
  finish(): SseEvent[] {
    const events = this.#read(this.#decode());
    if (this.#pieces.length > 0) this.#endLine("", events);
    this.#endLine("", events);
    return events;
  }

  #decode(bytes?: Uint8Array): string {
    try {
      return bytes === undefined
        ? this.#decoder.decode()
        : this.#decoder.decode(bytes, { stream: true });
    } catch (cause) {
      throw new SseError("the stream is not UTF-8", { cause });
    }
  }

  #read(text: string): SseEvent[] {
    const events: SseEvent[] = [];
    let at = 0;
    if (this.#isAfterReturn && text !== "") {
      if (text.startsWith("\n")) at = 1;
      this.#isAfterReturn = false;
    }
    let newline = text.indexOf("\n", at);
    let carriage = text.indexOf("\r", at);
    while (newline >= 0 || carriage >= 0) {
      const isReturn = carriage >= 0 && (newline < 0 || carriage < newline);
      const end = isReturn ? carriage : newline;
      this.#endLine(text.slice(at, end), events);
      at = end + 1;
      if (isReturn && text[at] === "\n") at += 1;
      else if (isReturn && at === text.length) this.#isAfterReturn = true;
      if (newline >= 0 && newline < at) newline = text.indexOf("\n", at);
      if (carriage >= 0 && carriage < at) carriage = text.indexOf("\r", at);
    }
    if (at < text.length) this.#keep(text.slice(at));
    return events;
  }

  #keep(piece: string): void {
    this.#pieces.push(piece);
    this.#count(piece.length);
  }

  #count(chars: number): void {
    this.#chars += chars;
    if (this.#chars <= eventCharsMax) return;
    throw new SseError(`an event has over ${eventCharsMax} characters`);
  }

  #endLine(rest: string, events: SseEvent[]): void {
    const line = this.#pieces.length === 0 ? rest : this.#pieces.join("") + rest;
    this.#pieces = [];
    if (line === "") {
      if (this.#data.length > 0) {
        events.push({ name: this.#name || "message", data: this.#data.join("\n") });
      }
      this.#lastEventId = this.#id;
      this.#data = [];
      this.#name = "";
      this.#chars = 0;
      return;
    }
    this.#count(rest.length);
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const field = colon < 0 ? line : line.slice(0, colon);
    const start = line[colon + 1] === " " ? colon + 2 : colon + 1;
    const value = colon < 0 ? "" : line.slice(start);
    if (field === "data") this.#data.push(value);
    else if (field === "event") this.#name = value;
    else if (field === "id" && !value.includes("\0")) this.#id = value;
  }
}
