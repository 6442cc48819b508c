/** Everything that moves a cursor, colours or rings: C0 and C1 but for tab and newline. */
// oxlint-disable-next-line no-control-regex -- these are what must not reach a terminal
const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;
/** Characters that turn the direction of a line, and what stands in it, around. */
const directions = /[\u202a-\u202e\u2066-\u2069]/g;

/**
 * Text that somebody else wrote, as a terminal may show it: nothing in it is obeyed. Models, names
 * and error messages come from strangers.
 */
export function plainText(text: string): string {
  return text.replace(/\r\n/g, "\n").replace(controls, "").replace(directions, "");
}

/** As `plainText`, on one line of at most `charsMax`. */
export function plainLine(text: string, charsMax = 500): string {
  const line = plainText(text).replace(/\s+/g, " ").trim();
  const chars = [...line];
  return chars.length <= charsMax ? line : `${chars.slice(0, charsMax - 1).join("")}…`;
}
