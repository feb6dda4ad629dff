//! Which image of an index.

use std::fmt;
use std::str::FromStr;

use crate::failure::{Exit, Failure};

/// `os/architecture[/variant]`, in Go's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Platform {
    pub(crate) os: String,
    pub(crate) architecture: String,
    pub(crate) variant: Option<String>,
}

impl Platform {
    /// Linux, since images are, on this machine's processor.
    pub(crate) fn here() -> Self {
        let (architecture, variant) = match std::env::consts::ARCH {
            "x86_64" => ("amd64", None),
            "x86" => ("386", None),
            "aarch64" => ("arm64", None),
            "arm" => ("arm", Some("v7".to_string())),
            "powerpc64" => ("ppc64le", None),
            "loongarch64" => ("loong64", None),
            other => (other, None),
        };
        Self { os: "linux".into(), architecture: architecture.into(), variant }
    }

    /// Whether an image of `other` is what is asked for. A variant that is not asked for does not matter; v8 is what
    /// arm64 is without one.
    pub(crate) fn takes(&self, other: &Self) -> bool {
        let usual = |platform: &Self| match (&platform.variant, platform.architecture.as_str()) {
            (None, "arm64") => Some("v8".to_string()),
            (variant, _) => variant.clone(),
        };
        self.os == other.os
            && self.architecture == other.architecture
            && (self.variant.is_none() || usual(self) == usual(other))
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

impl FromStr for Platform {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let mut parts = text.split('/').map(str::to_string);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(os), Some(architecture), variant, None)
                if !text.split('/').any(str::is_empty) && text.is_ascii() && !text.contains(char::is_control) =>
            {
                Ok(Self { os, architecture, variant })
            }
            _ => Err(Failure::new(
                Exit::Input,
                format!("{text:?} is no platform"),
                "Give one such as linux/amd64 or linux/arm/v7.",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Platform;

    #[test]
    fn variants_matter_only_where_they_are_asked_for() {
        let of = |text: &str| text.parse::<Platform>().unwrap();
        for (want, have, takes) in [
            ("linux/amd64", "linux/amd64", true),
            ("linux/amd64", "linux/arm64", false),
            ("linux/amd64", "windows/amd64", false),
            ("linux/arm64", "linux/arm64/v8", true),
            ("linux/arm64/v8", "linux/arm64", true),
            ("linux/arm", "linux/arm/v6", true),
            ("linux/arm/v7", "linux/arm/v6", false),
        ] {
            assert_eq!(of(want).takes(&of(have)), takes, "{want} {have}");
        }
        for text in ["", "linux", "linux/", "/amd64", "linux/arm/v7/x"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }
}
