/**
 * The value behind JSON text from outside, or null where the text is not JSON. For readers whose
 * schema takes no null: what cannot be read is to them as what says nothing.
 */
export function jsonOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The only failure of JSON.parse on a string is that the string is not JSON.
    return null;
  }
}
