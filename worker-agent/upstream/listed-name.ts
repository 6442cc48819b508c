/** The longest name of a listing. */
const nameCharsMax = 128;

/**
 * The name a server's model is listed under: the server's own, in the letters of listings. A file's
 * path becomes the file's name, and Ollama's `:latest`, which it takes for no tag at all, goes.
 */
export function listedName(id: string): string {
  const isPath = /\.gguf$/i.test(id) || /^(?:[~./\\]|[A-Za-z]:[\\/])/.test(id);
  const base = isPath ? (id.split(/[\\/]/).findLast((piece) => piece !== "") ?? "") : id;
  const bare = base.replace(/\.gguf$/i, "").replace(/:latest$/, "");
  const clean = bare.replaceAll(/[^A-Za-z0-9._:/-]/g, "-").replace(/^[^A-Za-z0-9]+/, "");
  return clean.slice(0, nameCharsMax) || "model";
}
