/**
 * The bytes a vocabulary entry stands for; null where it is written in no way known here. `kind` is
 * how the vocabulary writes bytes: `gpt2` in printable stand-ins, `llama` (SentencePiece) as
 * `<0x0A>` and `▁` for a space.
 */
export function tokenBytes(piece: string, kind: string): number[] | null {
  if (kind === "llama") {
    const byte = /^<0x([0-9A-F]{2})>$/.exec(piece)?.[1];
    if (byte !== undefined) return [Number.parseInt(byte, 16)];
    return [...new TextEncoder().encode(piece.replaceAll("\u2581", " "))];
  }
  if (kind !== "gpt2") return null;
  const bytes: number[] = [];
  for (const character of piece) {
    const byte = byteByCharacter.get(character);
    if (byte === undefined) return null;
    bytes.push(byte);
  }
  return bytes;
}

/**
 * GPT-2's table: printable Latin-1 bytes stand for themselves, the others for the characters from
 * U+0100 on.
 */
const byteByCharacter = new Map<string, number>();
let next = 0x100;
for (let byte = 0; byte < 256; byte++) {
  const isPrintable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte !== 173);
  byteByCharacter.set(String.fromCodePoint(isPrintable ? byte : next), byte);
  if (!isPrintable) next++;
}
