import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const packageName = "@huggingface/transformers";

/** What to do where the package is not there. */
export const installTransformers =
  `run \`npm install --global octo-worker ${packageName}\`, or start with ` +
  `\`npx --package=octo-worker --package=${packageName} octo-worker\``;

export const missingTransformers =
  `Cannot serve ONNX models: ${packageName} is not installed; ` + installTransformers;

/**
 * The file URL of the optional package that ONNX models need, installed beside this worker; null
 * where it is not. The folder the worker was started in is not asked: it may be anybody's.
 */
export function findTransformers(): string | null {
  try {
    const path = createRequire(import.meta.url).resolve(packageName);
    // Its form for `import` lies beside the one for `require`.
    return pathToFileURL(path.replace(/\.cjs$/, ".mjs")).href;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "MODULE_NOT_FOUND") return null;
    throw error;
  }
}
