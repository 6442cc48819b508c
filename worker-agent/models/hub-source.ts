/** A repository of the hub, of which the best file for this machine is to be chosen. */
export interface HubChoiceSource {
  readonly kind: "hub-choice";
  readonly owner: string;
  readonly repository: string;
  /** What was asked for, say `Q4_K_M`; null leaves it to the machine. */
  readonly quantization: string | null;
  readonly revision: string;
}

/** A model in this machine's store, by the name it is kept under. */
export interface StoredSource {
  readonly kind: "stored";
  readonly name: string;
}

const name = "[A-Za-z0-9][A-Za-z0-9._-]*";
const pattern = new RegExp(`^(${name})/(${name})(?::([A-Za-z0-9._-]{1,32}))?(?:@(${name}))?$`);

/** Reads OWNER/REPOSITORY[:QUANTIZATION][@REVISION]; null where it is something else. */
export function parseHubChoice(text: string): HubChoiceSource | null {
  const [, owner, repository, quantization, revision] = pattern.exec(text) ?? [];
  if (owner === undefined || repository === undefined) return null;
  // Whoever names a file has forgotten the repository or its owner.
  if (/\.gguf$/i.test(repository)) return null;
  const wanted = quantization === undefined ? null : quantization.toUpperCase();
  const common = { owner, repository, revision: revision ?? "main" };
  return { kind: "hub-choice", ...common, quantization: wanted };
}

/** A repository's name without what only says that its files are GGUF. */
export function hubChoiceName({ repository, quantization }: HubChoiceSource): string {
  const bare = repository.replace(/[-_.]gguf$/i, "");
  return quantization === null ? bare : `${bare}-${quantization}`;
}

const quantizationPattern =
  /(?:^|[-_.])((?:IQ|TQ|Q)\d(?:_[A-Z0-9]+)*|BF16|F16|FP16|F32|MXFP4(?:_MOE)?|NVFP4)(?=[-.]|$)/i;

/** The quantization that a file's name tells, in capitals; null where it tells none. */
export function quantizationInName(fileName: string): string | null {
  const found = quantizationPattern.exec(fileName.replace(/\.gguf$/i, ""))?.[1]?.toUpperCase();
  return found === undefined ? null : found.replace(/^FP16$/, "F16");
}
