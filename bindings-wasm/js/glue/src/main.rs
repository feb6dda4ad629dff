//! Writes the JavaScript side of a module: `regauth-glue MODULE.wasm FOLDER NAME`.
//!
//! Gives `NAME_bg.js` (ECMAScript, loads nothing itself), `NAME_bg.wasm` and `NAME_bg.wasm.d.ts`.

#![allow(clippy::disallowed_methods, reason = "a program")]

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [module, folder, name] = std::env::args()
        .skip(1)
        .collect::<Vec<_>>()
        .try_into()
        .map_err(|_| "usage: regauth-glue MODULE.wasm FOLDER NAME")?;
    wasm_bindgen_cli_support::Bindgen::new()
        .input_path(module)
        .out_name(&name)
        .bundler(true)?
        .typescript(true)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(folder)?;
    Ok(())
}
