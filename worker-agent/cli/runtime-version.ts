/** package.json asks for the same: what octo-worker and its engine are written in came with it. */
export const nodeLeast = "20.10.0";

/** Whether a Node of this version runs octo-worker. */
export function isNodeNewEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [majorLeast = 0, minorLeast = 0] = nodeLeast.split(".").map(Number);
  return major > majorLeast || (major === majorLeast && minor >= minorLeast);
}
