// Puts the package together out of what build.sh compiled: node build.mjs
//
// For each entry:
//   NAME.cjs         Node: reads NAME.wasm beside it
//   NAME.mjs         Node, import: the same objects, so that both kinds of import share one module
//   NAME.inline.mjs  everywhere: the module is in it (bundlers, Deno, browsers)
//   NAME.worker.mjs  Workers, which take a module from a file only
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const SOURCES = {
  index: "src/index.ts",
  config: "src/config-entry.ts",
  tls: "src/tls-entry.ts",
  all: "src/all-entry.ts",
  mint: "src/mint-entry.ts",
};
const entries = Object.keys(SOURCES);

/** Puts the entry's own glue and module in the place of `#glue` (`#mint`, by its types) and `#module`. */
function wire(name, module) {
  return {
    name: "wire",
    setup(on) {
      on.onResolve({ filter: /^#(glue|mint)$/ }, () => ({ path: new URL(`build/glue/${name}_bg.js`, import.meta.url).pathname }));
      on.onResolve({ filter: /^#module$/ }, () => ({ path: "module", namespace: "wire" }));
      on.onLoad({ filter: /^module$/, namespace: "wire" }, () => ({ contents: module, resolveDir: "." }));
    },
  };
}

async function bundle(name, kind, module, options) {
  await build({
    entryPoints: [SOURCES[name]],
    outfile: `dist/${name}.${kind}`,
    bundle: true,
    target: "es2022",
    legalComments: "none",
    logLevel: "warning",
    plugins: [wire(name, module)],
    ...options,
  });
}

rmSync("dist", { recursive: true, force: true });
mkdirSync("dist", { recursive: true });
// The module with everything has all types but those of `mint`.
const types = `${readFileSync("build/glue/all.d.ts")}\nexport function __wbg_set_wasm(exports: unknown): void;\n`;
writeFileSync("build/glue/types.d.ts", types);
execFileSync("node_modules/.bin/tsc", { stdio: "inherit" });

for (const name of entries) {
  copyFileSync(`build/glue/${name}.wasm`, `dist/${name}.wasm`);
  const bytes = readFileSync(`dist/${name}.wasm`);
  const read = `import { readFileSync } from "node:fs";
    import { join } from "node:path";
    export const module = new WebAssembly.Module(readFileSync(join(__dirname, "${name}.wasm")));`;
  const inline = `const text = atob("${bytes.toString("base64")}");
    export const module = new WebAssembly.Module(Uint8Array.from(text, (c) => c.charCodeAt(0)));`;
  const worker = `import compiled from "./${name}.wasm"; export const module = compiled;`;
  await bundle(name, "cjs", read, { format: "cjs", platform: "node" });
  await bundle(name, "inline.mjs", inline, { format: "esm", platform: "neutral" });
  await bundle(name, "worker.mjs", worker, { format: "esm", platform: "neutral", external: ["*.wasm"] });
  const names = Object.keys((await import(`./dist/${name}.cjs`)).default).sort();
  writeFileSync(
    `dist/${name}.mjs`,
    `import all from "./${name}.cjs";\nexport const { ${names.join(", ")} } = all;\n`,
  );
}
