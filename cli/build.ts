import { bundlePackage } from "../dev/bundle-package.ts";

await bundlePackage({
  folder: import.meta.dirname,
  entryPoints: { octo: "octo.ts" },
  command: "octo",
});
