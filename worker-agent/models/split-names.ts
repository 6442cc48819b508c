const pattern = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/i;

/** Splits beyond this are an attack: the largest models come in some dozens of files. */
const partsMax = 1000;

export interface SplitName {
  /** The name of the whole, without number and ending. */
  readonly stem: string;
  /** Counted from 1. */
  readonly part: number;
  readonly parts: number;
}

/** What the name of one part of a model says (llama.cpp's `llama_split_path`); else null. */
export function parseSplitName(name: string): SplitName | null {
  const [, stem, part, parts] = pattern.exec(name) ?? [];
  if (stem === undefined || part === undefined || parts === undefined) return null;
  const split = { stem, part: Number(part), parts: Number(parts) };
  const isCount = split.part >= 1 && split.part <= split.parts && split.parts <= partsMax;
  return isCount ? split : null;
}

/** The names of all parts of the model that `name` is a part of; of any other, `name` alone. */
export function partNames(name: string): readonly string[] {
  const split = parseSplitName(name);
  if (split === null) return [name];
  const digits = (count: number) => String(count).padStart(5, "0");
  return Array.from(
    { length: split.parts },
    (_, at) => `${split.stem}-${digits(at + 1)}-of-${digits(split.parts)}.gguf`,
  );
}
