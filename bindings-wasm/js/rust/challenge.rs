//! Challenges, as a flat list.

use regauth::challenge;
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

use crate::error::Failed;
use crate::text::{bytes, string};

/// Reads WWW-Authenticate fields. Gives the number of flaws, then for each challenge: its scheme, its token68 or
/// undefined, the number of its parameters, and their names and values.
#[wasm_bindgen]
pub fn challenges(fields: Vec<String>) -> Result<Vec<JsValue>, Failed> {
    let fields: Vec<Vec<u8>> =
        fields.iter().map(|field| bytes(field)).collect::<Option<_>>().ok_or_else(Failed::header)?;
    let read = challenge::parse(fields.iter().map(Vec::as_slice));
    let mut flat = vec![JsValue::from(u32::try_from(read.flaws.len()).unwrap_or(u32::MAX))];
    for challenge in &read.challenges {
        let params: Vec<String> =
            challenge.params().flat_map(|param| [string(param.name()), string(&param.value())]).collect();
        flat.push(string(challenge.scheme()).into());
        flat.push(challenge.token68().map(string).into());
        flat.push(u32::try_from(params.len() / 2).unwrap_or(u32::MAX).into());
        flat.extend(params.into_iter().map(JsValue::from));
    }
    Ok(flat)
}
