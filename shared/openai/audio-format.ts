/** The containers of sound that people send, as OpenAI's clients know them. */
export const audioFormats = ["wav", "mp3", "flac", "ogg", "mp4", "webm"] as const;
export type AudioFormat = (typeof audioFormats)[number];

/** `audio:mp3` and the like: the files an engine reads, each an ability of its own. */
export type AudioAbility = `audio:${AudioFormat}`;

export function audioAbility(format: AudioFormat): AudioAbility {
  return `audio:${format}`;
}

/** What the files of each format hold at which byte, as Latin-1. */
const marks: readonly (readonly [AudioFormat, number, string])[] = [
  ["mp3", 0, "ID3"],
  ["flac", 0, "fLaC"],
  ["ogg", 0, "OggS"],
  ["mp4", 4, "ftyp"],
  ["webm", 0, "\u001aE\u00df\u00a3"],
];

/**
 * The container of a file (as base64) by its first bytes, which are what decoders go by, whatever
 * the file is called; null where it is none of those people send.
 */
export function audioFormatOf(base64: string): AudioFormat | null {
  const head = atob(base64.slice(0, 16));
  if (head.startsWith("RIFF") && head.startsWith("WAVE", 8)) return "wav";
  const found = marks.find(([, at, mark]) => head.startsWith(mark, at));
  if (found !== undefined) return found[0];
  // A frame of MPEG layer III (ISO 11172-3): eleven bits set, then version and layer.
  const [first = 0, second = 0] = [head.charCodeAt(0), head.charCodeAt(1)];
  return first === 0xff && (second & 0xe6) === 0xe2 ? "mp3" : null;
}
