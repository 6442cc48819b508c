import { toBase64 } from "../../../shared/crypto/bytes.ts";
import { OctoError } from "../../../shared/errors.ts";
import { audioFormatOf } from "../../../shared/openai/audio-format.ts";
import {
  type TranscriptionRequest,
  transcriptionRequestSchema,
} from "../../../shared/openai/transcription-request.ts";
import { checked, readBytes } from "../read-body.ts";

const compress = "; send a shorter recording, or a compressed one (Opus, MP3, FLAC)";

/** A transcription's form, as OpenAI's clients send it: the file, and the other fields as text. */
export async function readTranscriptionForm(raw: Request): Promise<TranscriptionRequest> {
  const form = await readForm(raw);
  const fields = new Map<string, unknown>();
  for (const name of new Set(form.keys())) {
    if (name !== "file") fields.set(name.replace(/\[\]$/, ""), fieldValue(name, form.getAll(name)));
  }
  const file = fileOf(form.getAll("file"));
  const audio = toBase64(new Uint8Array(await file.arrayBuffer()));
  fields.set("audio", audio);
  fields.set("file_name", nameFor(audio, file.name));
  return checked(Object.fromEntries(fields), transcriptionRequestSchema, "The form");
}

async function readForm(raw: Request): Promise<FormData> {
  const type = raw.headers.get("content-type") ?? "";
  if (!/^multipart\/form-data\s*;/i.test(type)) {
    const found = type === "" ? "of no content-type" : type.slice(0, 100);
    throw new OctoError(
      "invalid_request",
      `Send multipart/form-data with a file and a model; the body is ${found}`,
    );
  }
  const bytes = await readBytes(raw, compress);
  try {
    return await new Response(bytes, { headers: { "content-type": type } }).formData();
  } catch (error) {
    // The bytes are in memory: all that can fail is that they are no form.
    throw new OctoError("invalid_request", "The body is not a whole multipart form", {
      cause: error,
    });
  }
}

function fileOf(found: readonly (File | string)[]): File {
  const [file, ...others] = found;
  const refuse = (why: string) => new OctoError("invalid_request", why, { param: "file" });
  if (file === undefined) throw refuse("file: there is none; send the recording as `file`");
  if (others.length > 0) throw refuse(`file: there are ${found.length}; send one at a time`);
  if (typeof file === "string") {
    throw refuse("file: it came as text; send it as a file, with a filename");
  }
  if (file.size === 0) throw refuse("file: it is empty");
  return file;
}

/** `name[]` may come several times; anything else given twice would silently lose a value. */
function fieldValue(name: string, values: readonly (File | string)[]): unknown {
  if (name.endsWith("[]")) return values;
  if (values.length > 1) {
    throw new OctoError("invalid_request", `${name}: it is given ${values.length} times`, {
      param: name,
    });
  }
  const [value] = values;
  if (name === "temperature" && /^-?\d+(\.\d+)?$/.test(String(value))) return Number(value);
  if (name === "stream" && (value === "true" || value === "false")) return value === "true";
  return value;
}

/**
 * What a stranger's worker is told a file is called: nothing of its name but the format, which some
 * servers go by. The file's own bytes know it best.
 */
function nameFor(audio: string, name: string): string {
  const format = audioFormatOf(audio);
  if (format !== null) return `audio.${format}`;
  const ending = endingPattern.exec(name)?.[1]?.toLowerCase();
  return ending === undefined ? "audio" : `audio.${ending}`;
}

/** The endings OpenAI's endpoint names, and those of the same files elsewhere. */
const endingPattern = /\.(flac|mp3|mp4|mpeg|mpga|m4a|aac|amr|ogg|oga|opus|wav|webm)$/i;
