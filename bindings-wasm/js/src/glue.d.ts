// What the build puts in the place of `#module`: see build.mjs.
declare module "#module" {
  /** The compiled module of this entry. */
  export const module: WebAssembly.Module;
}
