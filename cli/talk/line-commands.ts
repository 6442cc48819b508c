/** What a line of a chat asks for. */
export type ChatLine =
  | { readonly kind: "nothing" }
  | { readonly kind: "say"; readonly text: string }
  | { readonly kind: "help" }
  | { readonly kind: "model"; readonly name: string | null }
  | { readonly kind: "clear" }
  | { readonly kind: "save"; readonly path: string }
  | { readonly kind: "exit" }
  | { readonly kind: "wrong"; readonly reason: string };

export const chatHelp = [
  "/model         which model answers, and which there are",
  "/model NAME    another model, which hears what was said so far",
  "/clear         forget what was said",
  "/save FILE     write it down: Markdown, or JSON where FILE ends in .json",
  "/exit          leave, as Ctrl-D or Ctrl-C twice do; Ctrl-C once stops an answer",
  "//…            say something that begins with a slash",
];

/** Reads one line: what begins with a slash is for the chat itself. */
export function readChatLine(line: string): ChatLine {
  const text = line.trim();
  if (text === "") return { kind: "nothing" };
  if (text.startsWith("//")) return { kind: "say", text: text.slice(1) };
  if (!text.startsWith("/")) return { kind: "say", text };
  const [, word = "", rest = ""] = /^\/(\S*)\s*(.*)$/s.exec(text) ?? [];
  switch (word) {
    case "model":
      return { kind: "model", name: rest === "" ? null : rest };
    case "save":
      return rest === ""
        ? { kind: "wrong", reason: "/save takes a FILE" }
        : { kind: "save", path: rest };
    case "help":
    case "clear":
    case "exit":
      return rest === "" ? { kind: word } : { kind: "wrong", reason: `/${word} takes nothing` };
    case "quit":
      return { kind: "exit" };
    default:
      return { kind: "wrong", reason: `There is no /${word}; /help tells what there is` };
  }
}
