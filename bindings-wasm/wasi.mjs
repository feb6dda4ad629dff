// Runs a program for wasm32-wasip1 with what it needs and no more: node wasi.mjs PROGRAM.wasm ARGUMENT...
// It sees the tree read-only by convention, as `/`.
import { readFileSync } from "node:fs";
import { WASI } from "node:wasi";

const [program, ...rest] = process.argv.slice(2);
const root = new URL("..", import.meta.url).pathname;
const wasi = new WASI({ version: "preview1", args: [program, ...rest], env: {}, preopens: { "/": root }, returnOnExit: true });
const module = new WebAssembly.Module(readFileSync(program));
const instance = new WebAssembly.Instance(module, wasi.getImportObject());
process.exitCode = wasi.start(instance);
