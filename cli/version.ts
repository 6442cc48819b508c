import manifest from "./package.json" with { type: "json" };

export const version: string = manifest.version;

/** How this program names itself to edges. */
export const programName = `octo/${version}`;
