/** How a text differs from the one it should be, word by word. */
export interface Difference {
  readonly duplicated: number;
  readonly missing: number;
}

/** Each word of `whole` is there once: what `text` has beyond it, and what it lacks. */
export function differenceOf(text: string, whole: string): Difference {
  const left = new Map<string, number>();
  for (const word of wordsOf(whole)) left.set(word, (left.get(word) ?? 0) + 1);
  let duplicated = 0;
  for (const word of wordsOf(text)) {
    const count = left.get(word) ?? 0;
    if (count === 0) duplicated += 1;
    else left.set(word, count - 1);
  }
  let missing = 0;
  for (const count of left.values()) missing += count;
  return { duplicated, missing };
}

function wordsOf(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}
