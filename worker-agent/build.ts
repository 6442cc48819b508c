import { bundlePackage } from "../dev/bundle-package.ts";

/**
 * ws is CommonJS and asks for node's own modules by `require`, which an ES module has to make for
 * itself.
 */
const banner = [
  'import { createRequire as createRequireOfBundle } from "node:module";',
  "const require = createRequireOfBundle(import.meta.url);",
].join("\n");

await bundlePackage({
  folder: import.meta.dirname,
  entryPoints: {
    "octo-worker": "cli.ts",
    // The thread that ONNX models compute on starts from a file of its own.
    "transformers-thread": "engine/transformers/transformers-thread.ts",
  },
  command: "octo-worker",
  options: {
    // Their native binaries are found beside their own packages; each is imported only when a
    // model of its kind is loaded.
    external: ["node-llama-cpp", "@huggingface/transformers"],
    banner: { js: banner },
  },
});
