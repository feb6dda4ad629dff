//! Short-lived certificates. Time and entropy are arguments here too: the same ones give the same bytes as anywhere.

use regauth::mint::{self, Issued, MintError};
use wasm_bindgen::JsError;
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

use regauth::Time;

/// Unix milliseconds, or seconds of a life; what is no such number is 0.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
const fn whole(number: f64) -> u64 {
    number as u64
}

#[allow(clippy::cast_precision_loss, reason = "below 2^53")]
fn millis(time: Time) -> JsValue {
    JsValue::from(time.0 as f64)
}

fn refused(error: MintError) -> JsError {
    JsError::new(&error.to_string())
}

fn bytes(entropy: &[u8]) -> Result<[u8; 32], JsError> {
    entropy.try_into().map_err(|_| JsError::new("entropy is 32 random bytes"))
}

fn names(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

/// Certificate, key, when it ends.
fn issued(issued: &Issued) -> Vec<JsValue> {
    let key = String::from_utf8_lossy(issued.key_pem.expose());
    vec![issued.cert_pem.as_str().into(), (*key).into(), millis(issued.not_after)]
}

/// A CA in memory.
#[wasm_bindgen]
pub struct Ca {
    core: mint::Ca,
}

#[wasm_bindgen]
impl Ca {
    /// A CA.
    #[wasm_bindgen(constructor)]
    pub fn new(now: f64, ttl: f64, name: &str, entropy: &[u8]) -> Result<Self, JsError> {
        let core = mint::Ca::new(Time(whole(now)), whole(ttl), name, &bytes(entropy)?).map_err(refused)?;
        Ok(Self { core })
    }

    /// Its certificate, PEM.
    pub fn certificate(&self) -> String {
        self.core.cert_pem()
    }

    /// When it ends.
    pub fn not_after(&self) -> JsValue {
        millis(self.core.not_after())
    }

    /// A server's certificate.
    pub fn server(&self, of: Vec<String>, now: f64, ttl: f64, entropy: &[u8]) -> Result<Vec<JsValue>, JsError> {
        let made = self.core.server(&names(&of), Time(whole(now)), whole(ttl), &bytes(entropy)?);
        Ok(issued(&made.map_err(refused)?))
    }

    /// A client's certificate.
    pub fn client(
        &self,
        label: &str,
        uri: Option<String>,
        now: f64,
        ttl: f64,
        entropy: &[u8],
    ) -> Result<Vec<JsValue>, JsError> {
        let made = self.core.client(label, uri.as_deref(), Time(whole(now)), whole(ttl), &bytes(entropy)?);
        Ok(issued(&made.map_err(refused)?))
    }
}

/// All certificates of one buildkitd: when they end, the number of files, names and PEM in turn, then the commands: what
/// for, and the command.
#[wasm_bindgen]
pub fn buildkitd(
    of: Vec<String>,
    uri: Option<String>,
    now: f64,
    ttl: f64,
    entropy: &[u8],
    directory: &str,
    port: u16,
) -> Result<Vec<JsValue>, JsError> {
    let bundle = mint::buildkitd(&names(&of), uri.as_deref(), Time(whole(now)), whole(ttl), &bytes(entropy)?);
    let bundle = bundle.map_err(refused)?;
    let mut flat = vec![millis(bundle.not_after), u32::try_from(bundle.files.len()).unwrap_or(0).into()];
    for (name, pem) in &bundle.files {
        flat.extend([JsValue::from(*name), (*String::from_utf8_lossy(pem.expose())).into()]);
    }
    flat.extend(bundle.commands(directory, port).into_iter().flat_map(|(what, line)| [what.into(), line.into()]));
    Ok(flat)
}
